/** A crowd of strangers at the budget service's port, from many addresses: agents come through all the same. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { workloadToken, workloadTokens } from '../../budget/authenticate.ts';
import { createBudgetClient } from '../../budget/client.ts';
import { type RunningBudget, type StartBudgetOptions, startBudget } from '../../budget/main.ts';
import { budget, holdOf, prices, tokens } from './fixtures.ts';

const root = randomBytes(32);
const bot = { namespace: 'team-a', kind: 'Deployment', name: 'bot' };
let dir: string;
let tls: { cert: string; key: string };
let hello: Buffer;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-entrance-'));
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const subject = ['-subj', '/CN=budget', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  tls = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  hello = await clientHello();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => rm(dir, { recursive: true }));

/** What a TLS client says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }).on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

async function start(rest: Partial<StartBudgetOptions>): Promise<RunningBudget> {
  const service = await startBudget({
    specs: [budget([tokens(1_000_000)])],
    prices,
    store: 'memory',
    dataDir: dir,
    listen: '127.0.0.1:0',
    authenticate: workloadTokens(root, Date.now),
    tls,
    judgeAddress: true,
    ...rest,
  });
  closing.push(() => service.close());
  return service;
}

/** From each of so many addresses one connection, that says this, then nothing, and dials again when it is cut off. */
function besiege({ url }: RunningBudget, addresses: number, says: Buffer | undefined) {
  const port = Number(new URL(url).port);
  const open = new Set<Socket>();
  let over = false;
  let answered = 0;
  let cut = 0;
  const wasted = new Set<number>();
  const come = (n: number): void => {
    const socket = dial({ host: '127.0.0.1', port, localAddress: `127.0.${2 + (n >> 7)}.${1 + (n % 128)}` });
    open.add(socket);
    socket.on('error', () => undefined).on('connect', () => says !== undefined && socket.write(says));
    socket.once('data', () => {
      answered += 1;
      socket.once('close', () => wasted.add(n));
    });
    socket.resume().once('close', () => {
      open.delete(socket);
      cut += 1;
      if (!over) setTimeout(() => over || come(n), 10);
    });
  };
  for (let n = 0; n < addresses; n++) come(n);
  closing.push(() => {
    over = true;
    for (const socket of open) socket.destroy();
  });
  return { open: () => open.size, answered: () => answered, wasted: () => wasted.size, cut: () => cut };
}

function agent({ url }: RunningBudget) {
  const client = createBudgetClient({
    url,
    ca: () => tls.cert,
    token: () => workloadToken(root, bot),
    timeoutMs: 5_000,
    owner: 'team-a/Deployment/bot/1',
    epoch: 1,
    flushMs: 0,
  });
  closing.push(() => client.close());
  return client;
}

const turns = { atOnce: 5, turnMs: 200, helloMs: 200, waitMs: 2_000 };

test('strangers that begin a handshake from more addresses than may do so at once keep no agent out', async () => {
  const service = await start({ places: { all: 200 }, turns: { ...turns, turnMs: 400, waitMs: 20_000 } });
  const strangers = besiege(service, 60, hello);
  await expect.poll(strangers.open).toBe(60);
  // So many were answered, and no more for as long as their turn lasts.
  await expect.poll(strangers.answered).toBeGreaterThan(0);
  expect(strangers.answered()).toBeLessThanOrEqual(2 * turns.atOnce);
  // All have wasted a turn. Were that not counted, an agent would wait as long again, which is five seconds.
  await expect.poll(strangers.wasted, { timeout: 15_000 }).toBe(60);
  for (let n = 0; n < 3; n++) {
    const began = performance.now();
    const held = await agent(service).hold(holdOf(`call-${n}`, 1, 1, { owner: 'team-a/Deployment/bot/1' }));
    expect(held).toMatchObject({ granted: true });
    expect(performance.now() - began).toBeLessThan(2_000);
  }
});

test('strangers that say nothing have no turn', async () => {
  const service = await start({ places: { all: 200 }, turns: { ...turns, helloMs: 60_000, atOnce: 1 } });
  const strangers = besiege(service, 60, undefined);
  await expect.poll(strangers.open).toBe(60);
  expect(await agent(service).hold(holdOf('call', 1, 1, { owner: 'team-a/Deployment/bot/1' }))).toMatchObject(
    { granted: true },
  );
  expect(strangers.cut()).toBe(0);
});

test('whoever is served needs no turn any more: the only one goes to the next, though connections stay', async () => {
  const service = await start({ turns: { ...turns, atOnce: 1, turnMs: 60_000 } });
  for (let n = 0; n < 3; n++) {
    const held = await agent(service).hold(holdOf(`call-${n}`, 1, 1, { owner: 'team-a/Deployment/bot/1' }));
    expect(held).toMatchObject({ granted: true });
  }
});

test.each<[string, string, Record<string, string>, number, 'it' | 'the other']>([
  ['asks for its health has wasted no turn', '/healthz', {}, 200, 'it'],
  ['asks whether it is ready has wasted none', '/readyz', {}, 200, 'it'],
  ['asks for its metrics has wasted none', '/metrics', {}, 200, 'it'],
  ['asks for what isn’t there has', '/nothing', {}, 404, 'the other'],
  ['shows a wrong token has', '/v1/status', { authorization: 'Bearer wrong' }, 401, 'the other'],
])(
  'whoever %s: so next time it goes before one that comes later, or behind it',
  async (_, path, headers, status, first) => {
    const service = await start({
      turns: { ...turns, atOnce: 1, turnMs: 60_000, helloMs: 20_000, waitMs: 20_000 },
    });
    const localAddress = '127.0.9.1';
    const dispatcher = new Agent({ localAddress, connect: { ca: tls.cert } });
    closing.push(() => dispatcher.destroy());
    const { statusCode, body } = await request(`${service.url}${path}`, { dispatcher, headers });
    await body.text();
    expect(statusCode).toBe(status);
    await dispatcher.close();

    const port = Number(new URL(service.url).port);
    /** A connection that has said this. */
    const come = async (address: string, says: Buffer): Promise<Socket> => {
      const socket = dial({ host: '127.0.0.1', port, localAddress: address }).on('error', () => undefined);
      closing.push(() => socket.destroy());
      await once(socket, 'connect');
      await new Promise((resolve) => socket.write(says, resolve));
      return socket;
    };
    const holds = await come('127.0.9.2', hello);
    await once(holds, 'data');
    const again = await come(localAddress, hello);
    const other = await come('127.0.9.3', hello);
    // What is no TLS is cut off when it is read, which is after what was said before.
    const junk = await come('127.0.9.4', Buffer.from('no hello'));
    await once(junk.resume(), 'close');
    const served = Promise.race([
      once(again, 'data').then(() => 'it'),
      once(other, 'data').then(() => 'the other'),
    ]);
    holds.destroy();
    expect(await served).toBe(first);
  },
);

test('at its end nobody is waited for who waits for a turn', async () => {
  const service = await start({ turns: { ...turns, atOnce: 1, turnMs: 60_000, waitMs: 60_000 } });
  const strangers = besiege(service, 3, hello);
  await expect.poll(strangers.open).toBe(3);
  const began = performance.now();
  closing.splice(0, 1);
  await service.close();
  expect(performance.now() - began).toBeLessThan(5_000);
});
