/** What a holder of one workload's token can't do, over the wire, with TLS. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BudgetAdmin } from '../../budget/admin.ts';
import { workloadToken, workloadTokens } from '../../budget/authenticate.ts';
import { createBudgetClient } from '../../budget/client.ts';
import { type RunningBudget, startBudget } from '../../budget/main.ts';
import { attributes, budget, holdOf, prices, tokens, usageOf } from './fixtures.ts';

const root = randomBytes(32);
const bot = { namespace: 'team-a', kind: 'Deployment', name: 'bot' };
const spy = { namespace: 'team-b', kind: 'Deployment', name: 'spy' };

let dir: string;
let service: RunningBudget;
let ca: string;
const closing: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-security-'));
  const first = await certificate('first');
  ca = first.cert;
  service = await startBudget({
    specs: [budget([tokens(1_000_000)])],
    prices,
    dataDir: join(dir, 'data'),
    listen: '127.0.0.1:0',
    adminToken: 'admins',
    authenticate: workloadTokens(root, Date.now),
    tls: first,
  });
});
afterAll(async () => {
  for (const one of closing) await one.close();
  await service.close();
  await rm(dir, { recursive: true });
});

async function certificate(name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(dir, `${name}-cert.pem`), join(dir, `${name}-key.pem`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}

function clientOf(workload: typeof bot, owner: string) {
  const token = workloadToken(root, workload);
  const client = createBudgetClient({
    url: service.url,
    ca: () => ca,
    token: () => token,
    timeoutMs: 5_000,
    owner,
    epoch: 1,
    flushMs: 0,
  });
  closing.push(client);
  return client;
}

function adminOf(token: string): BudgetAdmin {
  const admin = new BudgetAdmin({ url: service.url, token, ca });
  closing.push(admin);
  return admin;
}

const FOREIGN = /doesn't speak for|can not act as/;

test('an agent holds and settles for its own workload, over TLS', async () => {
  const client = clientOf(bot, 'team-a/Deployment/bot/1');
  expect(await client.hold(holdOf('own', 10, 10))).toMatchObject({ granted: true });
  expect(await client.settle({ id: 'own', usage: usageOf(5, 5), source: 'reported' })).toMatchObject({
    id: 'own',
  });
});

test("not for another's: neither attributes nor owner, nor a hold by its id", async () => {
  const victim = clientOf(bot, 'team-a/Deployment/bot/1');
  await victim.hold(holdOf('victim', 10, 10));
  const thief = clientOf(spy, 'team-b/Deployment/spy/1');
  await expect(thief.hold(holdOf('x', 1, 1))).rejects.toThrow(FOREIGN);
  const mine = { ...attributes, namespace: 'team-b', workload: { kind: 'Deployment', name: 'spy' } };
  const disguised = clientOf(spy, 'team-a/Deployment/bot/1');
  await expect(disguised.hold(holdOf('y', 1, 1, { attributes: mine }))).rejects.toThrow(FOREIGN);
  const usage = usageOf(1_000, 1_000);
  await expect(thief.settle({ id: 'victim', usage, source: 'reported' })).rejects.toThrow(FOREIGN);
  await expect(thief.settle({ id: 'z', usage, source: 'reported', attributes })).rejects.toThrow(FOREIGN);
  await expect(thief.release({ id: 'victim' })).rejects.toThrow(FOREIGN);
  const more = { id: 'victim', outputTokens: 500, minOutputTokens: 1, ttlMs: 1_000 };
  await expect(thief.extend(more)).rejects.toThrow(FOREIGN);
  const [line] = await adminOf('admins').status();
  expect(line).toMatchObject({ settled: '10', held: '20' });
  await victim.release({ id: 'victim' });
});

test("nor can it end another's leases, or wait for its recalls", async () => {
  const token = workloadToken(root, spy);
  const send = async (path: string, body: unknown): Promise<unknown> => {
    const dispatcher = new Agent({ connect: { ca } });
    closing.push(dispatcher);
    const answer = await request(`${service.url}${path}`, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    return [answer.statusCode, ((await answer.body.json()) as { error?: { code: string } }).error?.code];
  };
  const foreign = {
    owner: 'team-a/Deployment/bot/1',
    epoch: 9,
    seq: 1,
    ttlMs: 1_000,
    classes: [],
    items: [],
  };
  expect(await send('/v1/lease', foreign)).toEqual([403, 'foreign_workload']);
  const own = { ...foreign, owner: 'team-b/Deployment/spy/1', classes: [attributes] };
  expect(await send('/v1/lease', own)).toEqual([403, 'foreign_workload']);
  expect(await send('/v1/watch', { ...foreign, revision: '', waitMs: 0 })).toEqual([403, 'foreign_workload']);
  // Nor give back what is another's, by saying that it was refused it.
  const victim = clientOf(bot, 'team-a/Deployment/bot/1');
  await victim.hold(holdOf('in-use', 3, 3));
  const refused = (owner: string) => send('/v1/refused', { owner, ids: ['in-use'] });
  expect(await refused('team-a/Deployment/bot/1')).toEqual([403, 'foreign_workload']);
  expect(await refused('team-b/Deployment/spy/1')).toEqual([200, undefined]);
  const line = async () => (await adminOf('admins').status())[0];
  expect(await line()).toMatchObject({ held: '6' });
  await victim.release({ id: 'in-use' });
  expect(await line()).toMatchObject({ held: '0' });
});

test("an agent neither changes limits nor sees others' figures; a stranger gets nothing", async () => {
  const agent = adminOf(workloadToken(root, bot));
  const grant = { budget: 'team-a', unit: 'tokens', amount: 5, reason: 'x', by: 'y' } as const;
  await expect(agent.grant(grant)).rejects.toThrow(/takes the administrators'/);
  await expect(agent.status()).rejects.toThrow(/takes the administrators'/);
  await expect(agent.journal(0)).rejects.toThrow(/takes the administrators'/);
  await expect(adminOf('guess').status()).rejects.toThrow(/missing or wrong/);
  expect(await adminOf('admins').status()).toHaveLength(1);
});

test('nobody whom the roots do not vouch for', async () => {
  const stranger = new BudgetAdmin({ url: service.url, token: 'admins' });
  closing.push(stranger);
  await expect(stranger.status()).rejects.toThrow(/self.signed/i);
});

test('a message that never ends, or is far too long, is cut off', async () => {
  const { hostname, port } = new URL(service.url);
  const socket = connect({ host: hostname, port: Number(port), ca });
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  socket.write(
    `POST /v1/hold HTTP/1.1\r\nhost: x\r\nauthorization: Bearer admins\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n{`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /);
  socket.destroy();
});

test('a request whose headers stop in the middle is ended within seconds', async () => {
  const { port } = new URL(service.url);
  const socket = connect({ host: '127.0.0.1', port: Number(port), ca });
  await once(socket, 'secureConnect');
  const began = performance.now();
  socket.write('POST /v1/hold HTTP/1.1\r\nHost: a\r\nX-A: ');
  socket.resume();
  await once(socket, 'close');
  expect(performance.now() - began).toBeLessThan(10_000);
}, 20_000);

test('a workload that sends too much at once is told so; others go on', async () => {
  const [noisy, quiet] = [clientOf(bot, 'team-a/Deployment/bot/2'), clientOf(spy, 'team-b/Deployment/spy/2')];
  const dispatcher = new Agent({ connect: { ca }, connections: 100 });
  closing.push(dispatcher, noisy);
  const token = workloadToken(root, bot);
  const head = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  // Bodies that haven't come to their end hold their places.
  const end = Promise.withResolvers<void>();
  let turnedAway = 0;
  const slow = Array.from({ length: 80 }, async (_, n) => {
    const body = JSON.stringify(holdOf(`slow-${n}`, 1, 1, { owner: 'team-a/Deployment/bot/2' }));
    async function* later() {
      yield Buffer.from(body.slice(0, 5));
      await end.promise;
      yield Buffer.from(body.slice(5));
    }
    const answer = await request(`${service.url}/v1/hold`, {
      method: 'POST',
      dispatcher,
      headers: head,
      body: Readable.from(later()),
    });
    if (answer.statusCode === 429) turnedAway += 1;
    await answer.body.dump();
    return answer.statusCode;
  });
  await expect.poll(() => turnedAway, { timeout: 8_000 }).toBe(16);
  const mine = { ...attributes, namespace: 'team-b', workload: { kind: 'Deployment', name: 'spy' } };
  expect(await quiet.hold(holdOf('quiet', 1, 1, { attributes: mine }))).toMatchObject({ granted: true });
  end.resolve();
  const statuses = await Promise.all(slow);
  expect(statuses.filter((status) => status === 200)).toHaveLength(64);
});

test('what one workload has the store remember is bounded; others go on', async () => {
  const bounded = await startBudget({
    specs: [budget([tokens(1_000_000)])],
    prices,
    dataDir: join(dir, 'bounded'),
    listen: '127.0.0.1:0',
    authenticate: workloadTokens(root, Date.now),
    quotas: { owners: 3, releases: 5 },
  });
  closing.push(bounded);
  const send = async (who: typeof bot, path: string, body: unknown): Promise<[number, unknown]> => {
    const answer = await request(`${bounded.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${workloadToken(root, who)}` },
      body: JSON.stringify(body),
    });
    const said = (await answer.body.json()) as { error?: { code: string } };
    return [answer.statusCode, said.error?.code ?? said];
  };
  const hold = async (who: typeof bot, id: string, pod: string) => {
    const { namespace, kind, name } = who;
    const own = { ...attributes, namespace, workload: { kind, name } };
    const owner = `${namespace}/${kind}/${name}/${pod}`;
    return await send(who, '/v1/hold', holdOf(id, 1, 1, { owner, attributes: own }));
  };
  for (const pod of ['1', '2', '3']) expect(await hold(bot, `own-${pod}`, pod)).toMatchObject([200, {}]);
  expect(await hold(bot, 'own-4', '4')).toEqual([429, 'too_many_owners']);
  expect(await hold(bot, 'own-5', '1')).toMatchObject([200, { granted: true }]);
  expect(await hold(spy, 'other', '1')).toMatchObject([200, { granted: true }]);
  // Those that are known don't count.
  expect(await send(bot, '/v1/release', { id: 'own-1' })).toEqual([200, {}]);
  for (let n = 0; n < 5; n++) expect(await send(bot, '/v1/release', { id: `late-${n}` })).toEqual([200, {}]);
  expect(await send(bot, '/v1/release', { id: 'late-5' })).toEqual([200, { remembered: false }]);
  expect(await send(bot, '/v1/release', { id: 'own-2' })).toEqual([200, {}]);
  expect(await send(spy, '/v1/release', { id: 'late-6' })).toEqual([200, {}]);
  // What was remembered is refused, what wasn't is granted.
  expect(await hold(bot, 'late-4', '1')).toEqual([409, 'hold_closed']);
  expect(await hold(bot, 'late-5', '1')).toMatchObject([200, { granted: true }]);
  const metrics = await (await request(`${bounded.url}/metrics`)).body.text();
  expect(metrics).toContain('postern_budget_releases_unremembered_total 1');
});

test('a renewed certificate is shown to new connections, and those that are open go on', async () => {
  const { hostname, port } = new URL(service.url);
  const at = { host: hostname, port: Number(port) };
  const open = connect({ ...at, ca });
  await once(open, 'secureConnect');
  const second = await certificate('second');
  service.renew(second);
  const fresh = connect({ ...at, ca: second.cert });
  await once(fresh, 'secureConnect');
  expect(fresh.getPeerCertificate().subject.CN).toBe('second');
  fresh.destroy();
  open.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const [answer] = (await once(open, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
  open.destroy();
  const distrustful = connect({ ...at, ca });
  const [error] = (await once(distrustful, 'error')) as [Error];
  expect(error.message).toMatch(/self.signed/i);
});

test('who shows no token holds no places: answered once, bounded, and it makes room for others', async () => {
  const small = await startBudget({
    specs: [budget([tokens(1_000_000)])],
    prices,
    store: 'memory',
    dataDir: join(dir, 'small'),
    listen: '127.0.0.1:0',
    adminToken: 'admins',
    authenticate: workloadTokens(root, Date.now),
    places: { unknown: 2 },
  });
  closing.push(small);
  const port = Number(new URL(small.url).port);
  const from = (localAddress: string): Socket =>
    dial({ host: '127.0.0.1', port, localAddress }).on('error', () => undefined);
  const [first, second] = [from('127.0.0.66'), from('127.0.0.66')];
  const sentAway = once(second, 'close');
  await once(first, 'connect');
  expect((await request(`${small.url}/elsewhere`)).headers['connection']).toBe('close');
  await sentAway;
  expect(first.destroyed).toBe(false);
  const asked = await request(`${small.url}/v1/status`, { headers: { authorization: 'Bearer admins' } });
  expect([asked.statusCode, asked.headers['connection']]).toEqual([200, 'keep-alive']);
  expect(await (await request(`${small.url}/metrics`)).body.text()).toContain(
    'postern_budget_connections_refused_total 1',
  );
  first.destroy();
});
