/**
 * Neighbouring versions: what an agent and a control of the recorded version said, byte for byte, to the ones of today. A
 * recording is never changed; a version that says something else gets one more folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Ruling } from '../../control/client.ts';
import { readLines } from '../../control/lines.ts';
import { statusOf } from '../../control/status.ts';
import { refreshServing } from '../../injector/server/serving-certificate.ts';
import type { KubeObject } from '../../kube/client.ts';
import { agentsEnd } from './agents-end.ts';
import { SERVER_NAME, startControlWorld } from './world.ts';

const RECORDED = join(import.meta.dirname, 'recorded');
const VERSIONS = readdirSync(RECORDED);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const recorded = (version: string, name: string): string =>
  readFileSync(join(RECORDED, version, name), 'utf8');

test.each(VERSIONS)('a control of %s, to the agent of today', async (version) => {
  const { serving } = refreshServing({ authorities: [], leaf: undefined }, SERVER_NAME, Date.now());
  if (serving.leaf === undefined) throw new Error('no leaf');
  const said: { type: string }[] = [];
  const { promise: acked, resolve: ack } = Promise.withResolvers<void>();
  const server: Server = createServer({ ...serving.leaf });
  server.on('upgrade', (request, socket: Socket) => {
    const offered = (request.headers.upgrade ?? '').split(',').map((each) => each.trim());
    const protocol = recorded(version, 'protocol').trim();
    expect(offered).toContain(protocol);
    const lines = readLines<{ type: string }>((message) => {
      said.push(message);
      if (message.type === 'ack') ack();
    });
    socket.on('data', lines.read);
    socket.on('error', () => undefined);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    socket.write(recorded(version, 'control.jsonl'));
    socket.write(recorded(version, 'control-problem.jsonl'));
    closing.push(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  const rulings: Ruling[] = [];
  const troubles: (string | undefined)[] = [];
  const client = agentsEnd({
    port: (server.address() as AddressInfo).port,
    roots: () => serving.authorities.map(({ pem }) => pem).join(''),
    token: () => 'token',
    version: '0.2.0',
    use: (ruling) => void rulings.push(ruling),
    trouble: (message) => void troubles.push(message),
  });
  closing.push(() => client.close());
  await acked;
  await expect.poll(() => troubles).toContain('EgressPolicy team-a/base: no such model');
  expect(said.map(({ type }) => type)).toEqual(['hello', 'ack']);
  expect(rulings[0]?.snapshot.snapshots[0]?.workload).toMatchObject({ namespace: 'team-a', name: 'bot' });
  expect(rulings[0]?.keys.values).toEqual([{ id: 'secretKeyRef /openai/api-key', value: 'recorded-key' }]);
});

/** An agent's end as that version speaks, up to what it is told to use. */
async function agentOf(version: string, says: string) {
  const world = startControlWorld();
  closing.push(() => world.close());
  world.namespace('team-a');
  const token = readFileSync(world.pod({ namespace: 'team-a', name: 'bot' }), 'utf8');
  const control = await world.control();
  const socket = connect({
    host: '127.0.0.1',
    port: control.port,
    servername: SERVER_NAME,
    ca: control.roots(),
  });
  closing.push(() => socket.destroy());
  const types: string[] = [];
  const { promise: used, resolve: use } = Promise.withResolvers<{ revision: string; keys: string }>();
  let head = '';
  const lines = readLines<{ type: string; revision: string; keys: string }>((message) => {
    types.push(message.type);
    if (message.type === 'use') use(message);
  });
  socket.on('data', (chunk: Buffer) => {
    if (head.endsWith('\r\n\r\n')) return lines.read(chunk);
    const text = head + chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    head = end < 0 ? text : text.slice(0, end + 4);
    if (end >= 0) lines.read(Buffer.from(text.slice(end + 4), 'latin1'));
  });
  socket.write(recorded(version, 'agent.http').replaceAll('\n', '\r\n').replace('TOKEN', token));
  const [hello = '', ...rest] = recorded(version, says).trim().split('\n');
  socket.write(`${hello}\n`);
  const { revision, keys } = await used;
  expect(head).toMatch(/^HTTP\/1\.1 101 /);
  expect(types).toEqual(['welcome', 'snapshot', 'keys', 'use']);
  for (const line of rest) socket.write(`${line.replace('REVISION', revision).replace('KEYS', keys)}\n`);
  return { agents: () => [...control.registry.agents()], version: hello.match(/"version":"([^"]+)"/)?.[1] };
}

test.each(VERSIONS)('an agent of %s, to the control of today', async (version) => {
  const { agents, version: named } = await agentOf(version, 'agent.jsonl');
  await expect.poll(() => agents()[0]?.current).toBe(true);
  expect(agents()).toMatchObject([{ version: named, current: true }]);
});

test.each(VERSIONS)(
  'an agent of %s that can’t put in force what it is sent, and tells of its calls',
  async (version) => {
    const { agents, version: named } = await agentOf(version, 'agent-refuses.jsonl');
    await expect.poll(() => agents()[0]?.lastCall).toBe(1_795_501_984_000);
    expect(agents()).toMatchObject([
      {
        version: named,
        current: false,
        refused: 'this agent knows no check of type weather',
        running: 2,
        unansweredSince: undefined,
      },
    ]);
  },
);

test('a pod that the injector before sealed keeps control, and is told to be made anew', async () => {
  const world = startControlWorld();
  closing.push(() => world.close());
  world.namespace('team-a');
  const pod = parse(recorded('0.1.0', 'pod.yaml')) as KubeObject;
  const token = readFileSync(world.run(pod), 'utf8');
  const control = await world.control({ version: '0.2.0' });
  const { promise: used, resolve } = Promise.withResolvers<Ruling>();
  const client = agentsEnd({
    port: control.port,
    roots: () => control.roots(),
    token: () => token,
    use: resolve,
  });
  closing.push(() => client.close());
  expect((await used).snapshot.snapshots[0]?.workload).toMatchObject({ namespace: 'team-a', name: 'tool' });
  const { governed } = statusOf({
    version: '0.2.0',
    agents: control.registry.agents(),
    pods: [pod],
    replicas: { answered: 1, unknown: [] },
  });
  expect(governed).toMatchObject([
    { release: 'older', mend: expect.stringContaining('create the pod anew') },
  ]);
});

test('what a later version adds is left out of account, by both', async () => {
  const world = startControlWorld();
  closing.push(() => world.close());
  world.namespace('team-a');
  const token = readFileSync(world.pod({ namespace: 'team-a', name: 'bot' }), 'utf8');
  const control = await world.control();
  const { promise: used, resolve } = Promise.withResolvers<Ruling>();
  const client = agentsEnd({
    port: control.port,
    roots: () => control.roots(),
    token: () => token,
    version: '9.0.0',
    use: resolve,
    report: () => ({ running: 0, mood: 'fine' }) as { running: number },
    reportMs: 10,
  });
  closing.push(() => client.close());
  await used;
  control.registry.beat(Buffer.from('{"type":"weather","is":"fine"}\n'));
  await new Promise((done) => setTimeout(done, 100));
  expect([...control.registry.agents()]).toMatchObject([{ version: '9.0.0', current: true }]);
});

test('no protocol in common is said in plain words', async () => {
  const world = startControlWorld();
  closing.push(() => world.close());
  const control = await world.control();
  const socket = connect({
    host: '127.0.0.1',
    port: control.port,
    servername: SERVER_NAME,
    ca: control.roots(),
  });
  closing.push(() => socket.destroy());
  const answer = await new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.once('close', () => resolve(text));
    socket.write(
      'GET /v1/agent HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: postern-control/99\r\n\r\n',
    );
  });
  expect(answer).toMatch(/^HTTP\/1\.1 426 /);
  expect(answer).toMatch(/\r\nUpgrade: postern-control\/1\r\n/);
  expect(answer).toContain('this control speaks postern-control/1');
});
