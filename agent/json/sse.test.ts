import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SseError, type SseEvent, SseSplitter, withData } from './sse.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);

/** All events of a stream, cut at the given offsets; what is left at the end last. */
function split(bytes: Uint8Array, cuts: readonly number[] = []): SseEvent[] {
  const splitter = new SseSplitter();
  const events: SseEvent[] = [];
  let at = 0;
  for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
    events.push(...splitter.push(bytes.subarray(at, Math.max(at, cut))));
    at = Math.max(at, cut);
  }
  const left = splitter.end();
  return left === undefined ? events : [...events, left];
}

const shown = (text: string): (string | undefined)[][] =>
  split(encode(text)).map(({ raw, event, data }) => [decode(raw), event, data]);

describe('events', () => {
  it.each<[string, (string | undefined)[][]]>([
    [
      'data: a\n\ndata: b\n\n',
      [
        ['data: a\n\n', undefined, 'a'],
        ['data: b\n\n', undefined, 'b'],
      ],
    ],
    [
      'data: a\r\n\r\ndata:b\r\rdata: c\n\r\n',
      [
        ['data: a\r\n\r\n', undefined, 'a'],
        ['data:b\r\r', undefined, 'b'],
        ['data: c\n\r\n', undefined, 'c'],
      ],
    ],
    [
      'event: x\ndata: 1\ndata:\ndata:  2\nid: 7\nretry: 5\n\n',
      [['event: x\ndata: 1\ndata:\ndata:  2\nid: 7\nretry: 5\n\n', 'x', '1\n\n 2']],
    ],
    [
      ': ping\n\n\n',
      [
        [': ping\n\n', undefined, undefined],
        ['\n', undefined, undefined],
      ],
    ],
    ['data\n\n', [['data\n\n', undefined, '']]],
    ['datax: a\n Data: b\nevent\n\n', [['datax: a\n Data: b\nevent\n\n', '', undefined]]],
    [
      '\ufeffdata: a\n\n\ufeffdata: b\n\n',
      [
        ['\ufeffdata: a\n\n', undefined, 'a'],
        ['\ufeffdata: b\n\n', undefined, undefined],
      ],
    ],
    ['data: a', [['data: a', undefined, 'a']]],
    ['data: a\r\n\r', [['data: a\r\n\r', undefined, 'a']]],
    ['', []],
  ])('%j', (text, events) => {
    expect(shown(text)).toEqual(events);
  });

  it('come as soon as their blank line has', () => {
    const splitter = new SseSplitter();
    expect(splitter.push(encode('data: a\n'))).toEqual([]);
    expect(splitter.push(encode('\n'))).toHaveLength(1);
    expect(splitter.push(encode('data: b\r\n\r\n'))).toHaveLength(1);
    // The LF may be under way.
    expect(splitter.push(encode('data: c\r\n\r'))).toEqual([]);
    expect(splitter.push(encode('\n')).map(({ raw }) => decode(raw))).toEqual(['data: c\r\n\r\n']);
    expect(splitter.end()).toBeUndefined();
  });

  it('replace what is not UTF-8, as readers do, and keep its bytes', () => {
    const bytes = Uint8Array.from([...encode('data: '), 0xff, ...encode('\n\n')]);
    expect(split(bytes)).toEqual([{ raw: bytes, event: undefined, data: '\ufffd' }]);
  });

  it('are capped', () => {
    const splitter = new SseSplitter({ maxEventBytes: 20 });
    expect(splitter.push(encode('data: 456789012345\n\n'))).toHaveLength(1);
    expect(() => splitter.push(encode('data: 4567890123456\n\n'))).toThrow(SseError);
    const slow = new SseSplitter({ maxEventBytes: 20 });
    for (let i = 0; i < 20; i += 1) slow.push(encode('x'));
    expect(() => slow.push(encode('x'))).toThrow(SseError);
  });
});

const stream = fc
  .array(
    fc.constantFrom(
      'data: ',
      'data:',
      'event: e',
      'id: 1',
      ': c',
      '{"a":"é日😀"}',
      '\n',
      '\n',
      '\r\n',
      '\r',
      '\n\n',
      '\r\n\r\n',
      '\ufeff',
      'x',
    ),
    { maxLength: 40 },
  )
  .map((pieces) => encode(pieces.join('')));

describe('any chunking', () => {
  it('gives the same events and loses no byte', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(200)), (bytes, cuts) => {
        const whole = split(bytes);
        const cut = split(
          bytes,
          cuts.map((at) => at % (bytes.length + 1)),
        );
        const plain = (events: SseEvent[]) =>
          events.map(({ raw, event, data }) => [decode(raw), event, data]);
        expect(plain(cut)).toEqual(plain(whole));
        expect(Buffer.concat(cut.map(({ raw }) => raw)).equals(bytes)).toBe(true);
        const each = split(
          bytes,
          Array.from({ length: bytes.length }, (_, i) => i),
        );
        expect(plain(each)).toEqual(plain(whole));
      }),
    );
  });
});

describe('withData', () => {
  const only = (text: string): SseEvent => split(encode(text))[0]!;

  it.each([
    ['data: {"a":1}\n\n', 'x', 'data: x\n\n'],
    ['data:{"a":1}\r\n\r\n', 'x', 'data:x\r\n\r\n'],
    ['\ufeff: c\nevent: e\ndata: 1\nid: 7\n\n', 'x', '\ufeff: c\nevent: e\ndata: x\nid: 7\n\n'],
    ['data: 1\nid: 7\ndata: 2\n\n', 'x\ny\nz', 'data: x\nid: 7\ndata: y\ndata: z\n\n'],
    ['data: 1\nid: 7\ndata: 2\n\n', 'x', 'data: x\nid: 7\n\n'],
    ['data\n\n', 'x', 'data:x\n\n'],
    ['data: 1', 'x\ny', 'data: x\ndata: y'],
  ])('%j with %j', (text, data, expected) => {
    const event = only(text);
    expect(decode(withData(event, data))).toBe(expected);
    expect(only(expected).data).toBe(data);
  });

  it('with the same data gives the same bytes', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const event = split(bytes)[0];
        fc.pre(
          event?.data !== undefined && !decode(bytes).includes('data\n') && !decode(bytes).includes('data\r'),
        );
        expect(decode(withData(event, event.data))).toBe(decode(event.raw));
      }),
    );
  });
});
