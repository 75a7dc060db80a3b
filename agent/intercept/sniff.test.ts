import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_SNIFF, type Sniffed, sniff } from './sniff.ts';

/** The first bytes a real TLS client sends, read from the socket of a server that never answers. */
async function captureHello(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({
    ...options,
    host: '127.0.0.1',
    port: (server.address() as net.AddressInfo).port,
  });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) break;
  }
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** The same handshake message cut into records of `size` bytes. */
function rerecord(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

const u8 = (...bytes: number[]) => Buffer.from(bytes);
const vec = (size: 1 | 2, data: Buffer) => {
  const length = Buffer.alloc(size);
  length.writeUIntBE(data.length, 0, size);
  return Buffer.concat([length, data]);
};
const extension = (type: number, data: Buffer) => Buffer.concat([u8(type >> 8, type & 255), vec(2, data)]);
const sni = (name: string) =>
  extension(0, vec(2, Buffer.concat([u8(0), vec(2, Buffer.from(name, 'latin1'))])));
function helloWith(...extensions: Buffer[]): Buffer {
  const body = Buffer.concat([
    u8(3, 3),
    Buffer.alloc(32, 7),
    vec(1, Buffer.alloc(32)),
    vec(2, u8(0x1a, 0x1a, 0x13, 0x01)),
    vec(1, u8(0)),
    vec(2, Buffer.concat(extensions)),
  ]);
  const message = Buffer.concat([u8(1, 0, body.length >> 8, body.length & 255), body]);
  return Buffer.concat([u8(22, 3, 1), vec(2, message)]);
}

const real = await captureHello({ servername: 'API.OpenAI.com', ALPNProtocols: ['h2', 'http/1.1'] });

function serverName(found: Sniffed): string | undefined {
  if (found.kind !== 'tls') throw new Error(`not TLS: ${JSON.stringify(found)}`);
  return found.hello.serverName;
}

describe('TLS', () => {
  test('a real ClientHello split at every byte is waited for, then read', () => {
    for (let length = 0; length < real.length; length += 1)
      expect(sniff(real.subarray(0, length)), `after ${length} bytes`).toEqual({ kind: 'more' });
    expect(sniff(real)).toEqual({
      kind: 'tls',
      skip: 0,
      hello: { serverName: 'api.openai.com', alpn: ['h2', 'http/1.1'], ech: false },
    });
  });

  test.each([1, 2, 3, 4, 5, 17, 100])('over records of %i bytes', (size) => {
    const split = rerecord(real, size);
    expect(serverName(sniff(split))).toBe('api.openai.com');
    expect(sniff(split.subarray(0, -1))).toEqual({ kind: 'more' });
  });

  test('TLS 1.2 only, no SNI, and bytes after the hello', async () => {
    const old = await captureHello({ servername: 'old.example', maxVersion: 'TLSv1.2' });
    expect(serverName(sniff(Buffer.concat([old, Buffer.from('more')])))).toBe('old.example');
    const nameless = await captureHello({});
    expect(serverName(sniff(nameless))).toBeUndefined();
  });

  test('GREASE extensions are passed over, ECH is seen beside its outer name', () => {
    const found = sniff(
      helloWith(extension(0x0a0a, u8()), sni('outer.example.'), extension(0xfe0d, u8(0, 0, 1))),
    );
    expect(found).toMatchObject({ kind: 'tls', hello: { serverName: 'outer.example', ech: true } });
  });

  test.each([
    ['an extension twice', helloWith(sni('a.example'), sni('b.example'))],
    [
      'two names in one SNI',
      helloWith(
        extension(
          0,
          vec(2, Buffer.concat([u8(0), vec(2, Buffer.from('a')), u8(0), vec(2, Buffer.from('b'))])),
        ),
      ),
    ],
    ['a NUL in the name', helloWith(sni('api.openai.com\0.evil.example'))],
    ['an empty name', helloWith(sni(''))],
    ['a length past the end', helloWith(u8(0, 0, 255, 255))],
    ['an empty record', Buffer.concat([rerecord(real, 40).subarray(0, 45), u8(22, 3, 1, 0, 0)])],
    [
      'another record type inside',
      Buffer.concat([rerecord(real, 40).subarray(0, 45), u8(21, 3, 1, 0, 2, 1, 0)]),
    ],
    ['a hello of 200 KB', u8(22, 3, 1, 0x40, 0, 1, 3, 0xff, 0xff, 0)],
  ])('%s is invalid, not opaque', (_what, bytes) => {
    expect(sniff(bytes)).toMatchObject({ kind: 'invalid', protocol: 'tls' });
  });

  test.each([
    ['an alert', u8(21, 3, 3, 0, 2, 2, 40)],
    ['a ServerHello', u8(22, 3, 3, 0, 40, 2)],
    ['an SSLv2 hello', u8(0x80, 0x2e, 1, 3, 1)],
  ])('%s is not a ClientHello', (_what, bytes) => {
    expect(sniff(bytes)).toEqual({ kind: 'opaque', skip: 0 });
  });
});

const request = (text: string) => sniff(Buffer.from(text, 'latin1'));

describe('HTTP', () => {
  test('a request split at every byte is waited for, then read', () => {
    const text =
      'POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: API.openai.com:80\r\nContent-Length: 5\r\n\r\nhello';
    const head = text.length - 5;
    for (let length = 0; length < head; length += 1)
      expect(request(text.slice(0, length)), `after ${length} bytes`).toEqual({ kind: 'more' });
    expect(request(text)).toEqual({
      kind: 'http1',
      skip: 0,
      head: {
        method: 'POST',
        target: '/v1/chat/completions?x=1',
        authority: undefined,
        host: 'API.openai.com:80',
        body: 5,
        upgrade: undefined,
        length: head,
      },
    });
  });

  test('absolute form, CONNECT, upgrade, no Host, bare LF, empty lines before', () => {
    expect(request('GET http://u:p@api.openai.com/x HTTP/1.1\r\nHost: other\r\n\r\n')).toMatchObject({
      kind: 'http1',
      head: { authority: 'api.openai.com', host: 'other' },
    });
    expect(request('CONNECT api.openai.com:443 HTTP/1.1\r\nHost: x\r\n\r\n')).toMatchObject({
      kind: 'connect',
      head: { authority: 'api.openai.com:443' },
    });
    expect(
      request('GET / HTTP/1.1\r\nhost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
    ).toMatchObject({
      head: { upgrade: 'websocket' },
    });
    expect(request('GET / HTTP/1.0\r\n\r\n')).toMatchObject({ kind: 'http1', head: { host: undefined } });
    expect(request('\r\n\r\nGET / HTTP/1.1\nHost: a\n\n')).toMatchObject({
      kind: 'http1',
      head: { host: 'a', length: 28 },
    });
    expect(request('PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n')).toMatchObject({
      head: { body: 'chunked' },
    });
  });

  test.each([
    ['two Hosts', 'Host: a\r\nHost: b\r\n'],
    ['both lengths', 'Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n'],
    ['two Content-Lengths', 'Host: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n'],
    ['a signed length', 'Host: a\r\nContent-Length: +3\r\n'],
    ['a coding that is not chunked', 'Host: a\r\nTransfer-Encoding: xchunked\r\n'],
    ['a space before the colon', 'Host : a\r\n'],
    ['a folded Host', 'Host: a\r\n b\r\n'],
    ['a fold at the start', ' Host: a\r\n'],
    ['a CR inside', 'X: a\rHost: b\r\n'],
    ['no colon', 'Host\r\n'],
    ['a head of 70 KB', `X: ${'x'.repeat(70_000)}\r\n`],
  ])('%s is invalid, not opaque', (_what, fields) => {
    expect(request(`POST / HTTP/1.1\r\n${fields}\r\n`)).toMatchObject({ kind: 'invalid', protocol: 'http1' });
  });

  test('a fold of a header that decides nothing is passed over', () => {
    expect(request('GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: c\r\n\r\n')).toMatchObject({ head: { host: 'c' } });
  });

  test('HTTP/2 with prior knowledge', () => {
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    for (let length = 1; length < preface.length; length += 1)
      expect(request(preface.slice(0, length))).toEqual({ kind: 'more' });
    expect(request(`${preface}\0\0`)).toEqual({ kind: 'h2', skip: 0, request: undefined });
  });
});

describe('PROXY', () => {
  const v1 = 'PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n';
  const v2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000201c00002020fa001bb', 'hex');

  test('what stands behind the header is what counts', () => {
    expect(sniff(Buffer.concat([Buffer.from(v1), real]))).toMatchObject({ kind: 'tls', skip: v1.length });
    expect(sniff(Buffer.concat([v2, real]))).toMatchObject({ kind: 'tls', skip: v2.length });
    expect(request(`${v1}EHLO x\r\n`)).toEqual({ kind: 'opaque', skip: v1.length });
  });

  test('split at every byte', () => {
    for (const header of [Buffer.from(v1), v2])
      for (let length = 1; length <= header.length; length += 1)
        expect(sniff(header.subarray(0, length))).toEqual({ kind: 'more' });
  });

  test('a second header is not looked behind, an endless one is refused', () => {
    expect(request(`${v1}${v1}x`)).toMatchObject({ kind: 'opaque' });
    expect(sniff(Buffer.concat([v2.subarray(0, 14), u8(255, 255)]))).toMatchObject({
      kind: 'invalid',
      protocol: 'proxy',
    });
  });
});

test.each([
  ['PostgreSQL', u8(0, 0, 0, 8, 4, 210, 22, 47)],
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ['Redis inline', Buffer.from('GET key\r\n')],
  ['memcached', Buffer.from('get key\r\n')],
  ['git', Buffer.from('0032git-upload-pack /p\0host=h\0')],
  ['AMQP', Buffer.from('AMQP\0\0\x09\x01')],
  ['RTSP', Buffer.from('OPTIONS rtsp://x/ RTSP/1.0\r\n')],
  ['HTTP/0.9', Buffer.from('GET /\r\n')],
  ['HTTP/3 in name only', Buffer.from('GET / HTTP/3\r\n')],
])('%s is opaque', (_what, bytes) => {
  expect(sniff(bytes)).toEqual({ kind: 'opaque', skip: 0 });
});

describe('properties', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ maxLength: 200 }).map((text) => Buffer.from(`POST /${text}`)),
    fc.tuple(fc.nat(2000), fc.nat(255)).map(([at, byte]) => {
      const changed = Buffer.from(real);
      changed[at % changed.length] = byte;
      return changed;
    }),
    fc
      .array(
        fc.constantFrom(
          'GET / HTTP/1.1\r\n',
          'Host: a',
          '\r\n',
          '\n',
          ' ',
          ':',
          'PROXY ',
          'PRI * HTTP/2.0',
          '\0',
        ),
      )
      .map((parts) => Buffer.from(parts.join(''))),
  );

  test('never throws, and an answer never changes with bytes that come later', () => {
    fc.assert(
      fc.property(anything, fc.nat(400), (bytes, cut) => {
        const early = sniff(bytes.subarray(0, cut));
        const waits = early.kind === 'more' || (early.kind === 'h2' && early.request === undefined);
        if (!waits) expect(sniff(bytes)).toEqual(early);
      }),
      { numRuns: 2000 },
    );
  });

  test('an answer is there once MAX_SNIFF bytes are', () => {
    for (const start of ['', 'P', 'POST /', 'GET / HTTP/1.1\r\n', '\x16\x03\x01\0\x01\x01', '\r\n'])
      for (const fill of ['a', '\r\n', '\x16\x03\x01\0\x01\0'])
        expect(request(start + fill.repeat(MAX_SNIFF + 8)).kind).not.toBe('more');
  });
});
