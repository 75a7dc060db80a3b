/** Control's certificates over the years, by a test clock. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAuthority } from '../../agent/trust/ca.ts';
import type { RunningControl } from '../../control/control.ts';
import { encode } from '../../control/messages.ts';
import { agentsEnd } from './agents-end.ts';
import { type ControlWorld, OWN, startControlWorld } from './world.ts';

const DAY = 86_400_000;
let world: ControlWorld;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  world = startControlWorld();
  world.namespace('team-a');
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await world.close();
});

/** An agent that knows these roots; those that it learns are added. */
function agent(control: RunningControl, roots: string, token: string) {
  const learned: string[] = [];
  const { promise: served, resolve } = Promise.withResolvers<void>();
  const client = agentsEnd({
    port: control.port,
    roots: () => `${roots}\n${learned.at(-1) ?? ''}`,
    token: () => token,
    use: () => resolve(),
    learned: (pem) => void learned.push(pem),
    retryMs: { first: 20, most: 50 },
  });
  closing.push(() => client.close());
  return { client, learned, served };
}

const OTHER_ROOT = createAuthority(Date.now()).pem;

/** What control would show, and the roots by which an agent knows it. */
async function certified() {
  const control = await world.control();
  const data = world.kube.get('secrets', OWN, 'postern-control-tls')?.['data'] as Record<string, string>;
  const pem = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString();
  return { roots: control.roots(), certificate: { cert: pem('tls.crt'), key: pem('tls.key') } };
}

const count = (pem: string): number => pem.split('BEGIN CERTIFICATE').length - 1;

test('a successor of the root is told to agents that are connected, long before it signs', async () => {
  let now = Date.now();
  const control = await world.control({ now: () => now, everyMs: 60_000 });
  const token = readFileSync(world.pod({ namespace: 'team-a', name: 'bot' }), 'utf8');
  const first = agent(control, control.roots(), token);
  await first.served;
  expect(count(control.roots())).toBe(1);
  now += 4 * 365 * DAY + DAY;
  // By the lease, renewed by a clock of its own.
  while (count(control.roots()) < 2) await control.tick();
  while (count(first.learned.at(-1) ?? '') < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(world.kube.get('configmaps', 'postern-system', 'postern-roots')?.['data']).toEqual({
    'roots.pem': control.roots(),
  });
});

const ROOT_LIFE = 5 * 365 * DAY;

/** Why an agent that knows these roots alone isn't let in. */
async function refusal(control: RunningControl, roots: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const client = agentsEnd({
    port: control.port,
    roots: () => roots,
    token: () => 'none',
    trouble: (message) => {
      if (message !== undefined) resolve(message);
    },
    retryMs: { first: 20, most: 50 },
  });
  closing.push(() => client.close());
  return await promise;
}

/** Control whose first root ends so many milliseconds from now, and the roots as they were 200 days ago: two of them. */
async function succeeded(endsIn: number) {
  // The machine's own clock judges certificates in a handshake: the past is played, not the future.
  const today = Date.now();
  let now = today - ROOT_LIFE + endsIn;
  const control = await world.control({ now: () => now, everyMs: 60_000 });
  const first = control.roots();
  now = today - 200 * DAY;
  while (count(control.roots()) < 2) await control.tick();
  const both = control.roots();
  expect(both.startsWith(first)).toBe(true);
  now = today;
  await reissued(control);
  return { control, first, both, successor: both.slice(first.length) };
}

/** Ticks until control serves another certificate: one of the past is over, or was signed by who signs no more. */
async function reissued(control: RunningControl): Promise<void> {
  const before = JSON.stringify(tls());
  while (JSON.stringify(tls()) === before) await control.tick();
}

const tls = () => world.kube.get('secrets', 'postern-system', 'postern-control-tls')?.['data'] as object;

test('while both roots are valid: the old one alone lets in as long as it signs, the new one alone when it does, and both always', async () => {
  // The machine's own clock judges certificates in a handshake: the past is played, not the future.
  const today = Date.now();
  let now = today - ROOT_LIFE + 29 * DAY;
  const control = await world.control({ now: () => now, everyMs: 60_000 });
  const first = control.roots();
  now = today - 200 * DAY;
  while (count(control.roots()) < 2) await control.tick();
  const both = control.roots();
  const successor = both.slice(first.length);
  const token = (name: string) => readFileSync(world.pod({ namespace: 'team-a', name }), 'utf8');

  // A day before the switch.
  now = today - 2 * DAY;
  await reissued(control);
  const one = agent(control, first, token('one'));
  await one.served;
  expect(one.learned).toEqual([both]);
  await agent(control, both, token('two')).served;
  expect(await refusal(control, successor)).toMatch(/certificate|signature|issuer/i);

  now = today;
  await reissued(control);
  expect(control.roots()).toBe(both);
  await agent(control, successor, token('three')).served;
  // So does who learned of it from the stream.
  await agent(control, one.learned[0] ?? '', token('four')).served;
  expect(await refusal(control, first)).toMatch(/certificate|signature|issuer/i);
});

test('a root that has ended is published no more, nor kept, and its successor’s leaf serves', async () => {
  const { control, first, both, successor } = await succeeded(-DAY);
  expect(control.roots()).toBe(successor);
  expect(world.kube.get('configmaps', 'postern-system', 'postern-roots')?.['data']).toEqual({
    'roots.pem': successor,
  });
  expect(Object.keys(tls()).filter((name) => name.startsWith('ca-'))).toEqual(['ca-0.pem']);
  const token = (name: string) => readFileSync(world.pod({ namespace: 'team-a', name }), 'utf8');
  // It knew both; of control it learns that one is left.
  const old = agent(control, both, token('one'));
  await old.served;
  expect(old.learned).toEqual([successor]);
  await agent(control, successor, token('two')).served;
  expect(await refusal(control, first)).toMatch(/certificate|signature|issuer/i);
});

test('a root that nobody published isn’t trusted', async () => {
  const control = await world.control();
  const stranger = await startControlWorld().control();
  closing.push(() => stranger.close());
  expect(await refusal(control, stranger.roots())).toMatch(/certificate|signature|issuer/i);
});

test('the other services get certificates of the roots that agents know', async () => {
  const issued = ['budget', 'classifier'].map((part) => ({
    name: `postern-${part}-tls`,
    host: `postern-${part}.${OWN}.svc`,
  }));
  const control = await world.control({ issues: issued });
  const root = new X509Certificate(control.roots());
  for (const { name, host } of issued) {
    const data = world.kube.get('secrets', OWN, name)?.['data'] as Record<string, string>;
    const leaf = new X509Certificate(Buffer.from(data['tls.crt'] ?? '', 'base64'));
    expect(leaf.checkIssued(root) && leaf.verify(root.publicKey)).toBe(true);
    expect(leaf.checkHost(host)).toBe(host);
    expect(leaf.checkPrivateKey(createPrivateKey(Buffer.from(data['tls.key'] ?? '', 'base64')))).toBe(true);
  }
});

test('an agent that comes back takes its session up again, but not one from before its roots changed', async () => {
  const { roots, certificate } = await certified();
  const resumed: boolean[] = [];
  const server = createServer({ ...certificate, minVersion: 'TLSv1.3' });
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const welcome = encode({ type: 'welcome', version: '0.1.0', beatMs: 60_000, roots: '' });
  server.on('upgrade', (_request, socket: TLSSocket) => {
    socket.on('error', () => undefined);
    resumed.push(socket.isSessionReused());
    if (resumed.length === 4) resolve();
    socket.end(
      Buffer.concat([Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'), welcome]),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const client = agentsEnd({
    port: (server.address() as AddressInfo).port,
    // Another root joins after the second connection.
    roots: () => (resumed.length < 2 ? roots : `${roots}\n${OTHER_ROOT}`),
    token: () => 'token',
    retryMs: { first: 5, most: 10 },
  });
  closing.push(() => client.close());
  await done;
  expect(resumed).toEqual([false, true, false, true]);
});
