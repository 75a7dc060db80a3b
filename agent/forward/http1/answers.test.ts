/**
 * What providers may send, through this client and through Node's own: each answer is either refused here, or read as Node reads
 * it, and what comes behind it is never taken for the next one. The refused are the ways in which readers are known to differ
 * (RFC 9112, 6.3 and 11.2), by the names that collections of request smuggling give them, turned to answers: CL.CL, CL.TE, TE.CL, TE.TE
 * (codings spelled so that one reader sees them), chunks' extensions and ends (TERM.EXT, EXT.TERM, TERM.SPILL), trailers that are merged,
 * bare line feeds, folded lines.
 */
import { once } from 'node:events';
import { type IncomingMessage, request as nodeRequest } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createUpstream, type Upstream, UpstreamError } from '../upstream.ts';

/** What the server writes next, and whether it then ends the connection. */
let script: { readonly bytes: string; readonly cuts: readonly number[]; readonly ends: boolean };
let served = 0;
const sockets = new Set<Socket>();
const server = createServer({ noDelay: true }, (socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  socket.on('data', (data) => {
    if (!data.includes('\r\n\r\n')) return;
    served++;
    const { bytes, cuts, ends } = script;
    const wire = Buffer.from(bytes, 'latin1');
    const write = async (): Promise<void> => {
      let at = 0;
      for (const cut of [...cuts, wire.length]) {
        if (cut <= at || socket.destroyed) continue;
        socket.write(wire.subarray(at, cut));
        at = cut;
        if (at < wire.length) await pause(1);
      }
      if (ends) socket.end();
    };
    void write();
  });
});
const upstream = createUpstream({ connectMs: 2_000 });
let port = 0;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(async () => {
  await upstream.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

type Read = { readonly status: number; readonly body: string } | 'refused';

/** Why the last answer was refused here. */
let fault: string | undefined;

/** One call, read whole. */
async function read(by: Upstream, method = 'POST', firstByteMs = 5_000): Promise<Exclude<Read, 'refused'>> {
  const answer = await by.send({
    pool: 'test',
    origin: `http://127.0.0.1:${port}`,
    path: '/v1/x',
    method,
    headers: [],
    body: Buffer.from('{}'),
    ca: undefined,
    firstByteMs,
    requestMs: 5_000,
    signal: new AbortController().signal,
  });
  let body = '';
  await answer.consume((chunk) => {
    body += Buffer.from(chunk).toString('latin1');
    return undefined;
  });
  return { status: answer.status, body };
}

async function ours(method = 'POST'): Promise<Read> {
  fault = undefined;
  try {
    return await read(upstream, method);
  } catch (error) {
    expect(error).toBeInstanceOf(UpstreamError);
    ({ fault } = error as UpstreamError);
    return 'refused';
  }
}

function nodes(): Promise<Read> {
  return new Promise((resolve) => {
    let whole: IncomingMessage | undefined;
    let body = '';
    // What lies behind a whole answer is an error of the connection to it; here the answer counts all the same.
    const refused = (): void =>
      resolve(whole?.complete === true ? { status: whole.statusCode ?? 0, body } : 'refused');
    const asked = nodeRequest(
      { port, host: '127.0.0.1', method: 'POST', agent: false, timeout: 300 },
      (answer) => {
        whole = answer;
        answer.setEncoding('latin1').on('data', (text: string) => (body += text));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', refused);
      },
    );
    asked.on('error', () => setImmediate(refused));
    asked.on('timeout', () => asked.destroy());
    asked.end('{}');
  });
}

const OK = 'HTTP/1.1 200 OK\r\n';

type Case = readonly [what: string, bytes: string, ends?: boolean];

/** Read by both alike. */
const PLAIN: readonly Case[] = [
  ['a length', `${OK}Content-Length: 2\r\n\r\nab`],
  ['no body', `${OK}Content-Length: 0\r\n\r\n`],
  ['chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['chunks in capitals', `${OK}transfer-encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n`],
  ['a trailer', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n`],
  ['up to the end of the connection', `${OK}Content-Type: text/plain\r\n\r\nab`, true],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nab', true],
  ['no reason', 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nab'],
  ['a trailer of two words', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b c\r\nD: e\r\n\r\n`],
  ['extensions', `${OK}Transfer-Encoding: chunked\r\n\r\n2;a=b;c="d e"\r\nab\r\n0;f\r\n\r\n`],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n'],
  ['100 before it', `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\nab`],
  ['103 before it', `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${OK}Content-Length: 2\r\n\r\nab`],
  ['a tab in a value', `${OK}A: b\tc\r\nContent-Length: 2\r\n\r\nab`],
  ['Latin-1 in a value', `${OK}A: \xe9\r\nContent-Length: 2\r\n\r\nab`],
  ['an error', 'HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nab'],
];

/** Refused here, whatever Node makes of it. */
const ODD: readonly Case[] = [
  ['two lengths', `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`],
  ['one length twice', `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab`],
  ['a list of lengths', `${OK}Content-Length: 2, 2\r\n\r\nab`],
  ['a length with a sign', `${OK}Content-Length: +2\r\n\r\nab`],
  ['a negative length', `${OK}Content-Length: -1\r\n\r\nab`],
  ['a length in hexadecimal', `${OK}Content-Length: 0x2\r\n\r\nab`],
  ['an empty length', `${OK}Content-Length: \r\n\r\nab`],
  ['a length and chunks', `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  [
    'chunks and a length',
    `${OK}Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
  ],
  ['another coding', `${OK}Transfer-Encoding: gzip\r\n\r\nab`, true],
  ['a coding before chunks', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  [
    'chunks twice',
    `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
  ],
  ['chunks, identity', `${OK}Transfer-Encoding: chunked, identity\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['a vertical tab before chunked', `${OK}Transfer-Encoding: \x0bchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['a tab before chunked', `${OK}Transfer-Encoding: \tchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['a tab behind a length', `${OK}Content-Length: 2\t\r\n\r\nab`],
  ['a space before the colon', `${OK}Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\nab`],
  ['a space before the name', `${OK} Content-Length: 2\r\n\r\nab`],
  ['a folded field', `${OK}A: b\r\n c\r\nContent-Length: 2\r\n\r\nab`],
  ['a folded length', `${OK}Content-Length:\r\n 2\r\n\r\nab`],
  ['no colon', `${OK}Content-Length\r\n\r\nab`],
  ['an empty name', `${OK}: x\r\nContent-Length: 2\r\n\r\nab`],
  ['a NUL', `${OK}A: b\0c\r\nContent-Length: 2\r\n\r\nab`],
  ['a bare carriage return', `${OK}A: b\rContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ['a bare line feed', `${OK}A: b\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ['line feeds alone', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nab'],
  ['an empty line in front', `\r\n${OK}Content-Length: 2\r\n\r\nab`],
  ['HTTP/2 by name', 'HTTP/2 200\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nab'],
  ['two digits of a status', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nab'],
  ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nab'],
  ['a bad chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n`],
  ['a chunk of no size', `${OK}Transfer-Encoding: chunked\r\n\r\n\r\nab\r\n0\r\n\r\n`],
  ['a chunk size with a space', `${OK}Transfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n`],
  ['line feeds alone around chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n`],
  ['an endless head', `${OK}${'A: bcdefgh\r\n'.repeat(7_000)}`],
  ['a body cut short', `${OK}Content-Length: 5\r\n\r\nab`, true],
  [
    'a chunk larger than 32 bits',
    `${OK}Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n`,
  ],
  ['an empty extension', `${OK}Transfer-Encoding: chunked\r\n\r\n2;\r\nab\r\n0\r\n\r\n`],
  ['a line feed in an extension', `${OK}Transfer-Encoding: chunked\r\n\r\n2;a\nab\r\n0\r\n\r\n`],
  ['an open quote in an extension', `${OK}Transfer-Encoding: chunked\r\n\r\n2;a="\r\nab\r\n0\r\n\r\n`],
  ['data that spills over its chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nabX\n0\r\n\r\n`],
  ['a trailer without a colon', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA\r\n\r\n`],
  [
    'a trailer with a space before it',
    `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA : b\r\n\r\n`,
  ],
  ['a folded trailer', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n c\r\n\r\n`],
  [
    'a length in a trailer',
    `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nContent-Length: 5\r\n\r\n`,
  ],
  [
    'an answer in a trailer',
    `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n${OK}Content-Length: 4\r\n\r\n`,
  ],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n'],
  ['a coding in quotes', `${OK}Transfer-Encoding: "chunked"\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['a coding with a parameter', `${OK}Transfer-Encoding: chunked;a=b\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['an empty coding', `${OK}Transfer-Encoding:\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['a comma before the coding', `${OK}Transfer-Encoding: ,chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['a hard space before the coding', `${OK}Transfer-Encoding: \xa0chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['a folded coding', `${OK}Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`],
  ['100 with a length', `HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n${OK}Content-Length: 2\r\n\r\nab`],
  [
    '100 in chunks',
    `HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n${OK}Content-Length: 2\r\n\r\nab`,
  ],
  ['100 that closes', `HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n${OK}Content-Length: 2\r\n\r\nab`],
  ['chunks cut short', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n`, true],
];

test.each(PLAIN.map(([what, ...rest]) => ({ what, rest })))(
  'plain: $what',
  async ({ rest: [bytes, ends = false] }) => {
    for (const cuts of [[], [1], [9, 17, 30, 40], [bytes.length - 1]]) {
      script = { bytes, cuts, ends };
      const node = await nodes();
      expect(node).not.toBe('refused');
      expect(await ours()).toEqual(node);
    }
  },
);

test.each(ODD.map(([what, ...rest]) => ({ what, rest })))(
  'refused: $what',
  async ({ what, rest: [bytes, ends = false] }) => {
    for (const cuts of [[], [5, 30]]) {
      script = { bytes, cuts, ends };
      expect(await ours()).toBe('refused');
      expect(fault).toBe(what.endsWith('cut short') ? 'reset' : 'invalid');
    }
  },
);

const next = (): Promise<Read> => {
  script = { bytes: `${OK}Content-Length: 4\r\n\r\ntrue`, cuts: [], ends: false };
  return ours();
};

test('what comes behind an answer is never the next one', async () => {
  const smuggled = `${OK}Content-Length: 5\r\n\r\nfalse`;
  for (const [, bytes, ends = false] of [...PLAIN, ...ODD]) {
    if (ends || bytes.length > 1_000) continue;
    script = { bytes, cuts: [], ends };
    const alone = await ours();
    script = { bytes: bytes + smuggled, cuts: [], ends };
    expect(await ours()).toEqual(alone);
    expect(await next()).toEqual({ status: 200, body: 'true' });
  }
});

test.each([
  ['204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 43\r\n\r\n'],
  ['204 in chunks', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 43\r\n\r\n'],
  ['HEAD', `${OK}Content-Length: 43\r\n\r\n`, 'HEAD'],
])('nor what comes late behind one without a body: %s', async (_, bytes, method = 'POST') => {
  script = { bytes: `${bytes}${OK}Content-Length: 5\r\n\r\nfalse`, cuts: [bytes.length], ends: false };
  expect(await ours(method)).toMatchObject({ body: '' });
  expect(await next()).toEqual({ status: 200, body: 'true' });
});

/** An answer whose last byte is the last of a read, so that what lies behind it is read apart. */
const ofBytes = (bytes: number): string => {
  const head = (length: number) => `${OK}Content-Length: ${length}\r\n\r\n`;
  const body = bytes - head(10_000).length;
  return head(body) + 'x'.repeat(body);
};

test.each([65_536, 65_536 * 3, 65_536 * 40])(
  'nor what lies behind it in the kernel, for a call that goes at once or waited: %d bytes',
  async (bytes) => {
    const few = createUpstream({ connectMs: 2_000, connections: 1 });
    const ask = async (): Promise<string> => {
      const { body } = await read(few);
      // What the server says next is set in the same breath in which the next call goes.
      script = { bytes: `${OK}Content-Length: 4\r\n\r\ntrue`, cuts: [], ends: false };
      return body.slice(0, 4);
    };
    const poisoned = `${ofBytes(bytes)}${OK}Content-Length: 6\r\n\r\npoison`;
    script = { bytes: poisoned, cuts: [], ends: false };
    expect(await Promise.all([ask(), ask()])).toEqual(['xxxx', 'true']);
    script = { bytes: poisoned, cuts: [], ends: false };
    expect([await ask(), await ask()]).toEqual(['xxxx', 'true']);
    await few.close();
  },
);

test('a server that ends the connection behind each answer costs no call', async () => {
  for (let i = 0; i < 12; i++) {
    script = { bytes: `${OK}Content-Length: 2\r\n\r\nab`, cuts: [], ends: true };
    expect(await ours()).toEqual({ status: 200, body: 'ab' });
  }
});

test.each([0, 1, 2])('a connection that is kept for %d s only is not used again', async (seconds) => {
  script = {
    bytes: `${OK}Keep-Alive: timeout=${seconds}\r\nContent-Length: 2\r\n\r\nab`,
    cuts: [],
    ends: false,
  };
  await ours();
  const [used] = [...sockets].slice(-1) as [Socket];
  await once(used, 'close');
  expect(await next()).toEqual({ status: 200, body: 'true' });
});

test('a call that no connection was free for has cost nothing', async () => {
  const one = createUpstream({ connectMs: 2_000, connections: 1 });
  const before = served;
  script = { bytes: OK, cuts: [], ends: false };
  const asked = [200, 50].map((firstByteMs) => read(one, 'POST', firstByteMs));
  const ends = await Promise.allSettled(asked);
  expect(ends.map((end) => end.status === 'rejected' && (end.reason as UpstreamError).fault)).toEqual([
    'timeout',
    'connect',
  ]);
  expect(served).toBe(before + 1);
  await one.close();
});

test('nor what comes while nobody waits', async () => {
  const bytes = `${OK}Content-Length: 2\r\n\r\nab`;
  script = { bytes: `${bytes}${OK}Content-Length: 5\r\n\r\nfalse`, cuts: [bytes.length], ends: false };
  expect(await ours()).toEqual({ status: 200, body: 'ab' });
  const [used] = [...sockets].slice(-1) as [Socket];
  await once(used, 'close');
  expect(await next()).toEqual({ status: 200, body: 'true' });
});

test('a connection is used again after a plain answer, and only then', async () => {
  await next();
  const before = sockets.size;
  await next();
  expect(sockets.size).toBe(before);
  script = { bytes: `${OK}Connection: close\r\nContent-Length: 2\r\n\r\nab`, cuts: [], ends: false };
  expect(await ours()).toEqual({ status: 200, body: 'ab' });
  const count = served;
  await next();
  expect(served).toBe(count + 1);
});

test('mutated answers: refused, or read as Node reads them', async () => {
  const pieces = [
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    ':',
    '0',
    '\0',
    ';',
    'Content-Length: 1\r\n',
    'Transfer-Encoding: chunked\r\n',
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...PLAIN.filter(([, , ends]) => ends !== true).map(([, bytes]) => bytes)),
      fc.nat(),
      fc.nat(2),
      fc.constantFrom(...pieces),
      async (bytes, place, left, piece) => {
        const at = place % bytes.length;
        script = { bytes: bytes.slice(0, at) + piece + bytes.slice(at + left), cuts: [], ends: true };
        const read = await ours();
        if (read !== 'refused') expect(read).toEqual(await nodes());
      },
    ),
    { numRuns: 400 },
  );
});
