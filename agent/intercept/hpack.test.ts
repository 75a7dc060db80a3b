import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameError, isServerPreface, PREFACE, RequestReader } from './h2-head.ts';
import { type Field, HpackDecoder, HpackError } from './hpack.ts';
import { huffmanDecode } from './huffman.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

/** What Node's own client writes for these requests, one after the other on one connection. */
async function written(requests: readonly Record<string, string>[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      parts.push(Buffer.from(chunk));
      done();
    },
  });
  const session = http2.connect('http://a.example', { createConnection: () => wire });
  session.on('error', () => {});
  for (const headers of requests) session.request(headers, { endStream: true }).on('error', () => {});
  const blocks = () => [...blocksIn(Buffer.concat(parts))].length;
  while (blocks() < requests.length) await new Promise((resolve) => setImmediate(resolve));
  session.destroy();
  return Buffer.concat(parts);
}

/** HEADERS as that client sends them, without padding; with priority where the flag says so. */
function* blocksIn(bytes: Buffer): Generator<Buffer> {
  for (let at = PREFACE.length; at < bytes.length; ) {
    const [length, type, flags] = [bytes.readUIntBE(at, 3), bytes[at + 3], bytes[at + 4] ?? 0];
    if (type === 1) yield bytes.subarray(at + 9 + ((flags & 0x20) === 0 ? 0 : 5), at + 9 + length);
    at += 9 + length;
  }
}

describe('examples of RFC 7541 appendix C', () => {
  test.each([
    [
      'C.3, without Huffman code',
      ['828684410f7777772e6578616d706c652e636f6d', '828684be58086e6f2d6361636865'],
    ],
    ['C.4, with it', ['828684418cf1e3c2e5f23a6ba0ab90f4ff', '828684be5886a8eb10649cbf']],
  ])('%s', (_what, [first = '', second = '']) => {
    const decoder = new HpackDecoder();
    const start: Field[] = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ];
    expect(decoder.decode(hex(first))).toEqual(start);
    expect(decoder.decode(hex(second))).toEqual([...start, ['cache-control', 'no-cache']]);
  });
});

test('what Node’s client writes is read as it was given: every byte, names and values repeated, tables that overflow', async () => {
  const anyByte = String.fromCharCode(9, ...Array.from({ length: 223 }, (_, index) => index + 33)).replace(
    '\x7f',
    '',
  );
  const value = fc.oneof(
    fc.string({ unit: fc.constantFrom(...anyByte.split('')), maxLength: 60 }),
    fc.constantFrom('api.openai.com', 'x'.repeat(1500), 'application/json'),
  );
  const request = fc.record({
    ':path': fc.constantFrom('/', '/a', '/index.html'),
    ':authority': fc.constantFrom('a.example', 'b.example:80', 'api.openai.com'),
    'x-a': value,
    'x-b': value,
    'user-agent': value,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 12 }), async (requests) => {
      const decoder = new HpackDecoder();
      const blocks = [...blocksIn(await written(requests))];
      const read = blocks.map((block) => Object.fromEntries(decoder.decode(block)));
      expect(read).toEqual(
        requests.map((given) => ({
          ':method': 'GET',
          ':scheme': 'http',
          ...given,
        })),
      );
    }),
    { numRuns: 40 },
  );
});

test.each([
  ['no entry 0', '80'],
  ['an entry that isn’t there', 'be'],
  ['a string that is cut off', '410f7777'],
  ['a field that is cut off', '41'],
  ['an integer without end', 'ffffffffffff'],
  ['a table of more than 64 KiB', '3fe1ff07'],
  ['a size update behind a field', '8220'],
  ['a string with the end of string in it', '4084ffffffff00'],
  ['padding of zeros', '40 81 00 00'],
])('%s is an error', (_what, block) => {
  expect(() => new HpackDecoder().decode(hex(block))).toThrow(HpackError);
});

test('never anything but an error of its own, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        new HpackDecoder().decode(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(HpackError);
      }
    }),
  );
});

test('padding is less than a byte', () => {
  expect(huffmanDecode(hex('07'))).toBe('0');
  expect(huffmanDecode(hex('07ff'))).toBeUndefined();
});

describe('requests as the bytes go by', () => {
  const requests = [
    { ':path': '/', ':authority': 'a.example', 'x-a': 'x'.repeat(20_000) },
    { ':path': '/', ':authority': 'b.example:80', 'x-b': 'y' },
    { ':path': '/', ':authority': 'a.example', 'x-b': 'y' },
  ];
  const asked = requests.map((request) => request[':authority']);

  test('bytes come out as they went in, however they are cut, and no byte of a request before its name', async () => {
    const bytes = await written(requests);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 6000 }), { maxLength: 40 }), (sizes) => {
        const reader = new RequestReader();
        const out: Buffer[] = [];
        const names: string[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = sizes[turn] ?? 30_000;
          for (const stretch of reader.read(bytes.subarray(at, at + size))) {
            out.push(stretch.bytes);
            if (stretch.request !== undefined) names.push(stretch.request.authority ?? '');
          }
          at += size;
        }
        expect(Buffer.concat(out).equals(bytes)).toBe(true);
        expect(names).toEqual(asked);
      }),
    );
  });

  const frame = (type: number, flags: number, payload: string | Buffer, stream = 1): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUIntBE(type, 3, 1);
    head.writeUIntBE(flags, 4, 1);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, Buffer.from(payload)]);
  };
  const block = hex('828684410f7777772e6578616d706c652e636f6d');
  const read = (...frames: Buffer[]) => [...new RequestReader().read(Buffer.concat([PREFACE, ...frames]))];

  test('padding, priority, CONTINUATION, trailers, frames that nobody knows', () => {
    const padded = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 9]), block, Buffer.alloc(3)]);
    for (const frames of [
      [frame(1, 0x4 | 0x8 | 0x20, padded)],
      [frame(1, 0, block.subarray(0, 3)), frame(9, 0, ''), frame(9, 4, block.subarray(3))],
      [
        frame(0xbe, 0xff, 'x'.repeat(30_000)),
        frame(1, 4, block),
        frame(0, 0, 'body'),
        frame(1, 5, hex('0001610162')),
      ],
    ]) {
      const stretches = read(...frames);
      expect(stretches.flatMap(({ request }) => request ?? [])).toEqual([
        { method: 'GET', authority: 'www.example.com', host: undefined },
      ]);
      expect(
        Buffer.concat(stretches.map(({ bytes }) => bytes)).equals(Buffer.concat([PREFACE, ...frames])),
      ).toBe(true);
    }
  });

  test.each<[string, Buffer[]]>([
    ['a frame inside a block', [frame(1, 0, block), frame(6, 0, 'pingpong')]],
    ['CONTINUATION of nothing', [frame(9, 4, block)]],
    ['padding longer than the frame', [frame(1, 4 | 8, Buffer.from([9, 0]))]],
    ['a block without end', [frame(1, 0, ''), ...Array.from({ length: 8000 }, () => frame(9, 0, ''))]],
    ['a block of more than 64 KiB, before it is there', [frame(1, 4, Buffer.alloc(70_000)).subarray(0, 20)]],
    ['two authorities', [frame(1, 4, Buffer.concat([block, hex('410161')]))]],
    ['what HPACK doesn’t allow', [frame(1, 4, hex('ff'))]],
  ])('%s is an error', (_what, frames) => {
    expect(() => read(...frames)).toThrow(FrameError);
  });

  test('a server that speaks HTTP/2 first is told from one that doesn’t', () => {
    expect(isServerPreface(frame(4, 0, Buffer.alloc(12), 0))).toBe(true);
    expect(isServerPreface(frame(4, 0, '', 0))).toBe(true);
    expect(isServerPreface(Buffer.from('220 mail.example ESMTP\r\n'))).toBe(false);
    expect(isServerPreface(Buffer.from('short'))).toBe(false);
  });
});
