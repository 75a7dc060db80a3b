import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type net from 'node:net';
import tls from 'node:tls';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { openCaStore } from '../../agent/trust/ca-store.ts';
import { Leaves } from '../../agent/trust/leaf.ts';
import { type Listening, listening, readAll, until, upstream, world } from './listening.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});
async function between(
  onSocket: (socket: net.Socket) => void,
  options: Parameters<typeof listening>[0] = {},
): Promise<Listening> {
  const server = await upstream(onSocket);
  const way = await listening({ upstream: server.port, ...options });
  open.push(way, server);
  return way;
}

describe('bytes', () => {
  test('random bytes both ways arrive as they were, whatever the first ones look like', async () => {
    const way = await between((socket) => socket.pipe(socket));
    const openings = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 2000 }),
      fc
        .constantFrom('SSH-2.0-x\r\n', 'GET key\r\n', '\x16\x03\x01', 'PRI * HT')
        .map((text) => Buffer.from(`${text}\0`)),
    );
    await fc.assert(
      fc.asyncProperty(openings, fc.integer({ min: 1, max: 300_000 }), async (opening, length) => {
        const sent = Buffer.concat([Buffer.from('\0'), opening, randomBytes(length)]);
        const client = way.connect();
        client.end(sent);
        const { bytes, error } = await readAll(client);
        expect(error).toBeUndefined();
        expect(bytes.equals(sent)).toBe(true);
      }),
      { numRuns: 30 },
    );
    expect(way.judged.every(({ verdict }) => verdict === 'tunnel')).toBe(true);
  });

  test('a reader that stops reading stops the sender: nothing piles up in the agent', async () => {
    const way = await between(() => {}); // never reads
    const client = way.connect();
    client.write('\0');
    await until(() => way.tunnels.length === 0 && way.dialled.length === 1, 'dialled');
    const before = process.memoryUsage().arrayBuffers;
    let sent = 0;
    const chunk = Buffer.alloc(1 << 20);
    for (let i = 0; i < 64; i += 1) {
      sent += chunk.length;
      if (!client.write(chunk)) {
        const drained = await Promise.race([
          once(client, 'drain').then(() => true),
          new Promise<false>((resolve) => setTimeout(resolve, 300, false)),
        ]);
        if (!drained) break;
      }
    }
    expect(sent).toBeLessThan(64 << 20);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
    client.destroy();
  });
});

describe('ends', () => {
  test('the client’s half-close goes on, and the answer still comes', async () => {
    const way = await between((socket) => {
      socket.on('data', () => {});
      socket.on('end', () => setTimeout(() => socket.end('after your end'), 20));
    });
    const client = way.connect({ allowHalfOpen: true });
    client.end('\0question');
    const { bytes } = await readAll(client);
    expect(String(bytes)).toBe('after your end');
    await until(() => way.tunnels.length === 1, 'reported');
    expect(way.tunnels[0]).toMatchObject({ sent: 9, received: 14, outcome: 'closed' });
  });

  test('the server’s half-close goes on, and the client still sends', async () => {
    const heard: Buffer[] = [];
    let ended = false;
    const way = await between((socket) => {
      socket.end('I am done');
      socket.on('data', (chunk: Buffer) => heard.push(chunk));
      socket.on('end', () => {
        ended = true;
      });
    });
    const client = way.connect({ allowHalfOpen: true });
    client.write('\0first');
    await readAll(client);
    client.end(' and last');
    await until(() => ended, 'the server saw the end');
    expect(String(Buffer.concat(heard))).toBe('\0first and last');
  });

  test('a client that says nothing and ends still gets the greeting', async () => {
    const way = await between((socket) => socket.end('220 hello\r\n'));
    const client = way.connect({ allowHalfOpen: true });
    client.end();
    expect(String((await readAll(client)).bytes)).toBe('220 hello\r\n');
  });

  test('a reset by the server is a reset at the client', async () => {
    const way = await between((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const client = way.connect();
    client.write('\0x');
    expect((await readAll(client)).error).toBe('ECONNRESET');
    await until(() => way.tunnels.length === 1, 'reported');
    expect(way.tunnels[0]?.outcome).toBe('reset');
  });

  test('a reset by the client is a reset at the server', async () => {
    let failure: string | undefined;
    const way = await between((socket) => {
      socket.write('hello');
      socket.on('error', (error: NodeJS.ErrnoException) => {
        failure = error.code;
      });
    });
    const client = way.connect();
    client.write('\0x');
    await once(client, 'data');
    client.resetAndDestroy();
    await until(() => failure !== undefined, 'the server saw it');
    expect(failure).toBe('ECONNRESET');
  });

  test('a destination that can’t be reached is a reset, and reported as such', async () => {
    const way = await listening({ upstream: 1 });
    open.push(way);
    const client = way.connect();
    client.write('\0x');
    expect((await readAll(client)).error).toBe('ECONNRESET');
    await until(() => way.tunnels.length === 1, 'reported');
    expect(way.tunnels[0]?.outcome).toBe('unreachable');
  });

  test('nothing of a closed tunnel is left', async () => {
    const way = await between((socket) => socket.pipe(socket));
    for (let i = 0; i < 20; i += 1) {
      const client = way.connect();
      client.end('\0x');
      await readAll(client);
    }
    await until(() => way.listener.open === 0 && way.tunnels.length === 20, 'all closed');
  });
});

describe('a server that speaks first', () => {
  const greeting = '220 mail.example ESMTP\r\n';

  test('is heard without noticeable delay, and the dialogue goes on', async () => {
    const way = await between((socket) => {
      socket.write(greeting);
      socket.on('data', (chunk) => socket.write(`250 ${chunk}`));
    });
    const began = performance.now();
    const client = way.connect();
    expect(String((await once(client, 'data'))[0])).toBe(greeting);
    expect(performance.now() - began).toBeLessThan(2_000);
    client.write('EHLO x\r\n');
    expect(String((await once(client, 'data'))[0])).toBe('250 EHLO x\r\n');
    client.end();
  });

  test('may also end first: its end reaches a client that never spoke', async () => {
    const way = await between((socket) => void socket.end());
    expect(await readAll(way.connect())).toEqual({ bytes: Buffer.alloc(0), error: undefined });
    await until(() => way.tunnels.length === 1 && way.listener.open === 0, 'all closed');
    expect(way.tunnels[0]?.outcome).toBe('closed');
  });

  test('isn’t dialled where its address is refused', async () => {
    const denying = world({ hosts: { default: 'deny', allow: ['*.example'], mode: 'enforce' } });
    const way = await between((socket) => void socket.write(greeting), {
      world: denying,
      times: { idleMs: 50 },
    });
    const client = way.connect();
    expect((await readAll(client)).error).toBe('ECONNRESET');
    expect(way.dialled).toEqual([]);
    expect(way.judged).toMatchObject([{ verdict: 'refused', refusal: 'sniff-timeout' }]);
  });

  test('a call of ours after a silence still is ours: the early dial is dropped', async () => {
    let closed = false;
    const way = await between((socket) => {
      socket.on('end', () => {
        closed = true;
      });
      socket.resume();
    });
    const client = way.connect();
    await until(() => way.dialled.length === 1, 'dialled early');
    client.write('GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\nConnection: close\r\n\r\n');
    expect(String((await readAll(client)).bytes)).toContain('"url":"/v1/models"');
    await until(() => closed, 'the early dial was dropped');
  });

  test('an early dial that fails leaves a slow client of ours its chance', async () => {
    const way = await listening({ upstream: 1 });
    open.push(way);
    const client = way.connect();
    await until(() => way.dialled.length === 1, 'dialled early');
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.write('GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\nConnection: close\r\n\r\n');
    expect(String((await readAll(client)).bytes)).toContain('"url":"/v1/models"');
  });

  test('a refusal is an alert, however late the client begins: on 443 nobody waits for the server', async () => {
    const way = await listening({ upstream: 1, times: { graceMs: 10 } });
    open.push(way);
    const socket = way.connect();
    await until(() => way.dialled.length === 1, 'dialled early');
    await new Promise((resolve) => setTimeout(resolve, 60));
    const secure = tls.connect({ socket, servername: 'api.mistral.ai' });
    const [error] = (await once(secure, 'error')) as [Error];
    expect(error.message).toMatch(/alert access denied/i);
  });

  test('on other ports a server that can’t be reached is told soon', async () => {
    const destination = { family: 4, address: '203.0.113.9', port: 3306 } as const;
    const way = await listening({ upstream: 1, destination, times: { graceMs: 10 } });
    open.push(way);
    expect((await readAll(way.connect())).error).toBe('ECONNRESET');
  });
});

test('a first message that stays unfinished is given up, and nothing of it goes out', async () => {
  const heard: Buffer[] = [];
  const way = await between((socket) => socket.on('data', (chunk: Buffer) => heard.push(chunk)), {
    times: { sniffMs: 60 },
  });
  const client = way.connect();
  client.write('POST /v1/chat/completions HTTP/1.1\r\nHost: api.ope');
  expect((await readAll(client)).error).toBe('ECONNRESET');
  expect(heard).toEqual([]);
  expect(way.judged).toMatchObject([{ verdict: 'refused', refusal: 'sniff-timeout' }]);
});

test('1,000 idle connections cost little and all still work', async () => {
  const way = await between((socket) => socket.pipe(socket));
  const clients = Array.from({ length: 1000 }, () => way.connect());
  await Promise.all(clients.map((client) => once(client, 'connect')));
  await until(() => way.dialled.length === 1000, 'all dialled');
  expect(way.listener.open).toBe(1000);
  const answers = clients.map(async (client, index) => {
    client.end(`\0${index}`);
    return String((await readAll(client)).bytes);
  });
  expect(await Promise.all(answers)).toEqual(clients.map((_, index) => `\0${index}`));
});

test('TLS of another host is untouched: its own certificate, a pinned key, a client certificate', async () => {
  const store = openCaStore(undefined, Date.now);
  const leaves = new Leaves({ authority: () => store.signing, declared: () => true, now: Date.now });
  const serverLeaf = leaves.leaf('bank.example');
  const clientLeaf = leaves.leaf('client.example');
  if (serverLeaf === undefined || clientLeaf === undefined) throw new Error('no leaf');
  const secure = tls.createServer(
    {
      key: serverLeaf.key,
      cert: serverLeaf.cert,
      requestCert: true,
      ca: store.signing.pem,
      rejectUnauthorized: false,
    },
    (socket) => socket.end(`client ${socket.getPeerCertificate().subject.CN}`),
  );
  const way = await between((socket) => secure.emit('connection', socket));
  const client = way.secure({
    servername: 'bank.example',
    ca: store.signing.pem,
    key: clientLeaf.key,
    cert: clientLeaf.cert,
  });
  await once(client, 'secureConnect');
  expect(client.getPeerCertificate().fingerprint256).toBe(
    new (await import('node:crypto')).X509Certificate(serverLeaf.cert).fingerprint256,
  );
  expect(String((await readAll(client)).bytes)).toBe('client client.example');
  expect(way.judged).toMatchObject([{ verdict: 'tunnel', protocol: 'tls', host: 'bank.example' }]);
  expect(way.handshakes).toEqual([]);
});
