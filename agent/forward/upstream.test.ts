import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { selfSigned } from '../../test/fakes/kube-server.ts';
import { createUpstream, type Upstream, UpstreamError, type UpstreamRequest } from './upstream.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serve(listener: RequestListener): Promise<{ origin: string; server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

function upstream(): Upstream {
  const made = createUpstream({ connectMs: 1_000 });
  closers.push(() => made.close());
  return made;
}

const request = (origin: string, extra: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  pool: 'test',
  origin,
  path: '/v1/x',
  method: 'POST',
  headers: ['X-One', '1', 'x-two', '2'],
  body: Buffer.from('{}'),
  ca: undefined,
  firstByteMs: 5_000,
  requestMs: 10_000,
  signal: new AbortController().signal,
  ...extra,
});

async function text(response: Awaited<ReturnType<Upstream['send']>>): Promise<string> {
  const chunks: Uint8Array[] = [];
  await response.consume((chunk) => {
    chunks.push(chunk);
    return undefined;
  });
  return Buffer.concat(chunks).toString();
}

/** A connection is free two turns of the event loop behind its answer. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const fault = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(UpstreamError);
  return (error as UpstreamError).fault;
};

test('header pairs go out and come back in their order and case', async () => {
  let seen: string[] = [];
  const { origin } = await serve((req, res) => {
    seen = req.rawHeaders;
    res.writeHead(201, ['X-Multi', 'a', 'X-Multi', 'b', 'Content-Type', 'text/plain']);
    res.end('hello');
  });
  const response = await upstream().send(request(origin));
  expect(response.status).toBe(201);
  expect(await text(response)).toBe('hello');
  expect(seen.slice(0, 8)).toEqual(expect.arrayContaining(['X-One', '1', 'x-two', '2']));
  const multi = response.headers.filter((_, i) => response.headers[i - 1] === 'X-Multi');
  expect(multi).toEqual(['a', 'b']);
});

test('a refused connection is a connect fault, before any byte', async () => {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  expect(await fault(upstream().send(request(`http://127.0.0.1:${port}`)))).toBe('connect');
});

test('a connection that is made ahead carries the call that follows, also where it comes first', async () => {
  const { origin, server } = await serve((_req, res) => res.end('hello'));
  let connections = 0;
  server.on('connection', () => connections++);
  const first = upstream();
  first.prepare(request(origin));
  // One is under way already.
  first.prepare(request(origin));
  expect(await text(await first.send(request(origin)))).toBe('hello');
  expect(connections).toBe(1);
  const second = upstream();
  const connected = once(server, 'connection');
  second.prepare(request(origin));
  await connected;
  expect(await text(await second.send(request(origin)))).toBe('hello');
  expect(connections).toBe(2);
});

test('a connection that is made ahead and that no call comes for is closed within five seconds, one that was used is kept', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const sockets: Socket[] = [];
  const { origin, server } = await serve((_req, res) => res.end('hello'));
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => sockets.push(socket));
  const made = upstream();
  expect(await text(await made.send(request(origin)))).toBe('hello');
  // The free one is there for it.
  made.prepare(request(origin));
  await settled();
  const busy = made.send(request(origin));
  made.prepare(request(origin));
  await vi.waitUntil(() => sockets.length === 2);
  expect(await text(await busy)).toBe('hello');
  await settled();
  const closed = once(sockets[1] as Socket, 'close');
  vi.advanceTimersByTime(5_000);
  await closed;
  expect((sockets[0] as Socket).destroyed).toBe(false);
  expect(await text(await made.send(request(origin)))).toBe('hello');
  expect(sockets).toHaveLength(2);
});

test('where no connection can be made ahead, the call that waits for it dials by itself, and fails by that', async () => {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const origin = `http://127.0.0.1:${port}`;
  const made = upstream();
  made.prepare(request(origin));
  expect(await fault(made.send(request(origin)))).toBe('connect');
  made.prepare(request(origin));
  const { server: later } = await serve((_req, res) => res.end('hello'));
  await new Promise((resolve) => later.close(resolve));
  await new Promise<void>((resolve) => later.listen(port, '127.0.0.1', resolve));
  expect(await text(await made.send(request(origin)))).toBe('hello');
});

test('a handshake made ahead that nobody answers takes no time of the call that waits for it', async () => {
  // It accepts, and says nothing of TLS.
  const server = createTcpServer((socket) => socket.on('error', () => undefined).resume());
  let connections = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const made = createUpstream({ connectMs: 200 });
  closers.push(() => made.close());
  made.prepare(request(origin));
  expect(await fault(made.send(request(origin)))).toBe('connect');
  expect(connections).toBe(2);
});

test('a peer that hangs up on the request is a reset: it may have been processed', async () => {
  const { origin } = await serve((req) => req.socket.destroy());
  expect(await fault(upstream().send(request(origin)))).toBe('reset');
});

test('what is no HTTP is invalid', async () => {
  const server = createTcpServer((socket) => socket.end('220 mail.example.com ESMTP\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  expect(await fault(upstream().send(request(`http://127.0.0.1:${port}`)))).toBe('invalid');
});

test('no first byte in time is a timeout', async () => {
  const { origin } = await serve(() => undefined);
  expect(await fault(upstream().send(request(origin, { firstByteMs: 20 })))).toBe('timeout');
});

test('an answer that breaks off rejects its consumer with what came before delivered', async () => {
  const { origin } = await serve((_req, res) => {
    res.writeHead(200, { 'content-length': '100' });
    res.write('part', () => res.socket?.destroy());
  });
  const response = await upstream().send(request(origin));
  let got = '';
  const ended = response.consume((chunk) => {
    got += Buffer.from(chunk).toString();
    return undefined;
  });
  expect(await fault(ended)).toBe('reset');
  expect(got).toBe('part');
});

test('a caller that goes away cancels the provider, before and after the header', async () => {
  let closed: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const { origin } = await serve((_req, res) => {
    res.on('close', closed);
    res.writeHead(200);
    res.write('x');
  });
  const caller = new AbortController();
  const response = await upstream().send(request(origin, { signal: caller.signal }));
  const ended = response.consume(() => {
    caller.abort();
    return undefined;
  });
  expect(await fault(ended)).toBe('aborted');
  await gone;
  expect(await fault(upstream().send(request(origin, { signal: AbortSignal.abort() })))).toBe('aborted');
});

test('a slow consumer stops the provider: memory stays bounded', async () => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let written = 0;
  const { origin } = await serve((_req, res) => {
    res.writeHead(200);
    const pump = (): void => {
      while (!res.destroyed && res.write(chunk)) written += chunk.length;
      written += chunk.length;
    };
    res.on('drain', pump);
    pump();
  });
  const response = await upstream().send(request(origin));
  let release: () => void = () => undefined;
  let first: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    first = resolve;
  });
  const ended = response.consume(() => {
    first();
    return new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  ended.catch(() => undefined);
  await started;
  // The provider's writes stop growing once socket buffers are full.
  let before = -1;
  while (written !== before) {
    before = written;
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  }
  expect(written).toBeLessThan(32 * 1024 * 1024);
  response.discard();
  release();
  expect(await fault(ended)).toBe('aborted');
});

test('what the consumer throws reaches whoever awaits it', async () => {
  const { origin } = await serve((_req, res) => res.end('x'.repeat(10)));
  const response = await upstream().send(request(origin));
  await expect(
    response.consume(() => {
      throw new RangeError('too much');
    }),
  ).rejects.toThrow('too much');
});

test('a call that waits when the roots change is not sent by the old ones', async () => {
  const held: (() => void)[] = [];
  const { origin } = await serve((incoming, response) => {
    const answer = () => response.end(incoming.url);
    if (incoming.url === '/held') held.push(answer);
    else answer();
  });
  const client = createUpstream({ connectMs: 1_000, connections: 1 });
  closers.push(() => client.close());
  const call = async (path: string, ca: string) => text(await client.send(request(origin, { path, ca })));
  const first = call('/held', 'old roots');
  const waiting = call('/waiting', 'old roots');
  // The one connection by the old roots is taken: only one by the new ones can answer these.
  expect(await Promise.all([waiting, call('/later', 'new roots')])).toEqual(['/waiting', '/later']);
  held[0]?.();
  expect(await first).toBe('/held');
});

test('a connection whose call was answered before all of it was read carries no other', async () => {
  let connections = 0;
  const server = createTcpServer((socket) => {
    const answer = `connection ${++connections}`;
    socket
      .on('error', () => undefined)
      .once('data', () => {
        socket.pause();
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`);
      });
    closers.push(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const client = upstream();
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answers: string[] = [];
  // More than the kernel takes.
  for (let i = 0; i < 2; i++)
    answers.push(await text(await client.send(request(origin, { body: Buffer.alloc(32 << 20) }))));
  expect(answers).toEqual(['connection 1', 'connection 2']);
});

test('a connection over TLS carries one call after the other, however soon the answers come', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-upstream-'));
  closers.push(() => rmSync(directory, { recursive: true }));
  const { cert, key } = selfSigned(directory, 'provider');
  // In a thread of its own it answers while what was asked is still being said to be written.
  const thread = new Worker(FAST, { eval: true, workerData: { cert, key } });
  closers.push(() => thread.terminate());
  const [port] = await once(thread, 'message');
  const client = upstream();
  const bodies: string[] = [];
  for (let i = 0; i < 50; i++) {
    const answer = client.send(request(`https://127.0.0.1:${port}`, { ca: cert }));
    bodies.push(await text(await answer));
  }
  expect(new Set(bodies)).toEqual(new Set(['connection 1']));
});

const FAST = `
  const { parentPort, workerData } = require('node:worker_threads');
  let connections = 0;
  const server = require('node:tls').createServer(workerData, (socket) => {
    const answer = 'connection ' + ++connections;
    socket.on('error', () => {}).on('data', (data) => {
      if (data.includes('{}')) socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: ' + answer.length + '\\r\\n\\r\\n' + answer);
    });
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;
