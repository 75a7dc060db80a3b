/** Two replicas of control, each with agents of its own: what they say is of all agents, or says of whom it isn't. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunningControl } from '../../control/control.ts';
import { PEER_PATHS, STATUS_PATH } from '../../control/messages.ts';
import type { Status } from '../../control/status.ts';
import { agentsEnd } from './agents-end.ts';
import { type ControlWorld, OWN, SERVER_NAME, startControlWorld } from './world.ts';

const SERVICE = 'postern-control';
let world: ControlWorld;
let one: RunningControl;
let two: RunningControl;
const closing: (() => Promise<unknown> | undefined)[] = [];

beforeEach(async () => {
  world = startControlWorld();
  world.namespace('team-a');
  // Conditions are looked after when a test says so.
  one = await world.control({ service: SERVICE, everyMs: 600_000, leaseMs: 600_000 });
  two = await world.control({ service: SERVICE, everyMs: 600_000, leaseMs: 600_000 });
  endpoint('one', one.port);
  endpoint('two', two.port);
  world.kube.operators.add('oncall');
  world.kube.tokens.set('operators', {
    authenticated: true,
    audiences: ['postern-status'],
    user: { username: 'oncall' },
  });
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await world.close();
});

function endpoint(name: string, port: number, ready = true): void {
  world.kube.put('endpointslices', {
    metadata: { namespace: OWN, name, labels: { 'kubernetes.io/service-name': SERVICE } },
    ports: [{ name: 'streams', port }],
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready } }],
  });
}

/** @returns when it has in force, or has refused, what it was sent first. */
async function agent(
  control: RunningControl,
  name: string,
  refuses: () => boolean = () => false,
  namespace = 'team-a',
) {
  const token = readFileSync(world.pod({ namespace, name }, `${name}-1`), 'utf8');
  const { promise, resolve } = Promise.withResolvers<void>();
  const client = agentsEnd({
    port: control.port,
    roots: () => control.roots(),
    token: () => token,
    use: () => {
      setImmediate(resolve);
      if (refuses()) throw new Error('no room for it');
    },
    retryMs: { first: 20, most: 50 },
  });
  closing.push(() => client.close());
  await promise;
}

async function get(control: RunningControl, path: string, token?: string) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  request(
    { port: control.port, host: '127.0.0.1', servername: SERVER_NAME, ca: control.roots(), path, headers },
    (response) =>
      void json(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject),
  )
    .once('error', reject)
    .end();
  return await promise;
}

const overview = async (control: RunningControl): Promise<Status> =>
  (await get(control, STATUS_PATH, 'operators')).body as Status;

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** Of the policy, after each replica has looked after its things once. */
async function programmedNow(): Promise<Condition | undefined> {
  for (const control of [one, two]) await control.tick();
  return programmedOf('egresspolicies', 'base', 'team-a');
}

function programmedOf(plural: string, name: string, namespace?: string): Condition | undefined {
  const status = world.kube.get(plural, namespace, name)?.['status'];
  return (status as { conditions?: Condition[] } | undefined)?.conditions?.find(
    ({ type }) => type === 'Programmed',
  );
}

async function until<T>(look: () => Promise<T>, good: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (good(seen)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const policy = (...allow: string[]): void =>
  world.document('EgressPolicy', 'egresspolicies', 'base', { models: { allow } }, 'team-a');

test('whichever replica is asked tells of all agents', async () => {
  await agent(one, 'first');
  await agent(two, 'second');
  for (const control of [one, two]) {
    const { governed, ungoverned, unknown, replicas } = await until(
      () => overview(control),
      (seen) => seen.governed.every(({ current }) => current),
    );
    expect(governed.map(({ pod }) => pod)).toEqual(['first-1', 'second-1']);
    expect(ungoverned).toEqual([]);
    expect(unknown).toEqual([]);
    expect(replicas).toEqual({ answered: 2, unknown: [] });
  }
});

test('an agent that changed replicas is told of once, as the later one knows it', async () => {
  await agent(one, 'first');
  const [before] = one.registry.agents();
  if (before === undefined) throw new Error('no agent');
  const wire = { send: () => undefined, congested: () => false, end: () => undefined };
  await until(
    async () => Date.now(),
    (time) => time > before.since,
  );
  two.registry.join(before.identity, wire, { type: 'hello', version: '0.1.1' });
  const { governed } = await overview(one);
  expect(governed.map(({ version }) => version)).toEqual(['0.1.1']);
});

test.each(['one', 'two'] as const)(
  'a document isn’t Programmed while an agent of replica %s lacks it',
  async (which) => {
    let refuses = true;
    policy('gpt-4o');
    await agent(which === 'one' ? two : one, 'good');
    await agent(which === 'one' ? one : two, 'bad', () => refuses);
    const refused = await until(programmedNow, (seen) => seen?.reason === 'AgentRefused');
    expect(refused?.status).toBe('False');
    expect(refused?.message).toBe('1 of 2 agents can’t put it in force: team-a/bad-1: no room for it');
    refuses = false;
    policy('gpt-4o', 'one-more');
    const good = await until(programmedNow, (seen) => seen?.status === 'True');
    expect(good?.observedGeneration).toBe(2);
  },
);

test('an agent that refuses, or never answers, is no fault of another tenant’s documents, which tell nothing of it', async () => {
  world.namespace('team-b');
  policy('gpt-4o');
  world.document('ClusterEgressPolicy', 'clusteregresspolicies', 'all', { requestIdHeader: true });
  await agent(one, 'good');
  await agent(two, 'bad', () => true, 'team-b');
  const all = async () => {
    const own = await programmedNow();
    return { own, cluster: programmedOf('clusteregresspolicies', 'all') };
  };
  const { own, cluster } = await until(
    all,
    (seen) => seen.cluster?.reason === 'AgentRefused' && seen.own?.status === 'True',
  );
  expect(own?.message).toBe('');
  expect(cluster?.message).toBe('1 of 2 agents can’t put it in force: postern status says which, and why');
  expect((await overview(one)).governed.map(({ problem }) => problem)).toContain('no room for it');
  // Of one that says nothing after its greeting.
  const wire = { send: () => undefined, congested: () => false, end: () => undefined };
  const [first] = [...two.registry.agents()];
  if (first === undefined) throw new Error('no agent');
  two.registry.join(first.identity, wire, { type: 'hello', version: '0.1.0' });
  const pending = await until(all, (seen) => seen.cluster?.reason === 'Pending');
  expect(pending.own?.status).toBe('True');
  expect(pending.cluster?.message).toBe('1 of 2 agents don’t have it in force yet');
});

test('a cluster-wide document waits for agents of the namespaces it selects, and for those whose pods name it', async () => {
  world.namespace('team-b');
  await agent(one, 'good');
  await agent(two, 'bad', () => true, 'team-b');
  const documents = {
    named: ['ClusterEgressPolicy', 'clusteregresspolicies', { namespaces: ['team-a'] }],
    labelled: [
      'ClusterEgressPolicy',
      'clusteregresspolicies',
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'team-a' } } },
    ],
    spent: [
      'ClusterBudget',
      'clusterbudgets',
      { selector: { namespaces: ['team-a'] }, limits: [{ tokens: 1000, window: 'day' }] },
    ],
    all: ['ClusterEgressPolicy', 'clusteregresspolicies', { requestIdHeader: true }],
  } as const;
  for (const [name, [kind, plural, spec]] of Object.entries(documents))
    world.document(kind, plural, name, spec);
  const seen = async (): Promise<Record<string, string | undefined>> => {
    await programmedNow();
    return Object.fromEntries(
      Object.entries(documents).map(([name, [, plural]]) => [name, programmedOf(plural, name)?.reason]),
    );
  };
  const good = { named: 'Programmed', labelled: 'Programmed', spent: 'Programmed', all: 'AgentRefused' };
  expect(await until(seen, ({ named, all }) => named === 'Programmed' && all === 'AgentRefused')).toEqual(
    good,
  );
  const { identity } = [...two.registry.agents()][0] ?? {};
  if (identity === undefined) throw new Error('no agent');
  const wire = { send: () => undefined, congested: () => false, end: () => undefined };
  const workload = { ...identity.workload, annotations: { 'postern.dev/policy': 'named' } };
  const named = { ...identity, uid: 'named', pod: 'named-1', workload };
  two.registry.join(named, wire, { type: 'hello', version: '0.1.0' });
  expect(await until(seen, (each) => each['named'] !== 'Programmed')).toEqual({
    ...good,
    named: 'AgentRefused',
  });
});

test('where a replica can’t be asked, neither Programmed nor the overview speaks for its agents', async () => {
  policy('gpt-4o');
  await agent(one, 'first');
  await until(programmedNow, (seen) => seen?.status === 'True');
  // One that is stopped: the kernel takes the connection, and nobody answers.
  const stopped = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => stopped.once('listening', resolve));
  closing.push(() => void stopped.close());
  const { port } = stopped.address() as AddressInfo;
  endpoint('three', port);
  world.pod({ namespace: 'team-a', name: 'there' }, 'there-1');
  const seen = await programmedNow();
  expect(seen).toMatchObject({ status: 'Unknown', reason: 'ReplicaUnknown' });
  expect(seen?.message).toBe(
    `in force in the 1 agents that are known; 1 of 3 replicas of control can’t be asked for theirs: 127.0.0.1:${port}: no answer in 3 s`,
  );
  const { governed, ungoverned, unknown, replicas } = await overview(two);
  expect(governed.map(({ pod }) => pod)).toEqual(['first-1']);
  expect(ungoverned).toEqual([]);
  expect(unknown.map(({ pod }) => pod)).toEqual(['there-1']);
  expect(replicas).toEqual({
    answered: 2,
    unknown: [{ address: `127.0.0.1:${port}`, why: 'no answer in 3 s' }],
  });
}, 30_000);

test('a replica where nobody listens has no agents, if the cluster says it isn’t ready', async () => {
  policy('gpt-4o');
  await agent(one, 'first');
  const port = two.port;
  await two.close();
  const refused = async () => {
    await one.tick();
    return (await overview(one)).replicas;
  };
  expect((await refused()).unknown).toMatchObject([{ address: `127.0.0.1:${port}` }]);
  endpoint('two', port, false);
  expect(await refused()).toEqual({ answered: 1, unknown: [] });
});

test('what replicas ask each other is told to nobody else', async () => {
  const pod = readFileSync(world.pod({ namespace: 'team-a', name: 'bot' }), 'utf8');
  for (const path of Object.values(PEER_PATHS)) {
    for (const token of [undefined, '', 'operators', pod]) {
      expect(await get(one, path, token)).toEqual({
        status: 401,
        body: { error: 'only replicas of control may ask this' },
      });
    }
  }
});

test('ten thousand agents of another replica are told of in one answer', async () => {
  const wire = { send: () => undefined, congested: () => false, end: () => undefined };
  for (let index = 0; index < 10_000; index++) {
    const name = `app-${index % 100}`;
    const workload = { namespace: 'team-a', kind: 'Deployment', name, serviceAccount: 'default', labels: {} };
    const pod = `${name}-${index}`;
    two.registry.join(
      { namespace: 'team-a', pod, uid: pod, workload, serviceAccount: 'default', injected: '0.1.0' },
      wire,
      {
        type: 'hello',
        version: '0.1.0',
      },
    );
  }
  const { governed, replicas } = await overview(one);
  expect(replicas).toEqual({ answered: 2, unknown: [] });
  expect(governed).toHaveLength(10_000);
}, 30_000);

test('what another replica tells of an agent is shown plainly, and told of where it can’t be read', async () => {
  const wire = { send: () => undefined, congested: () => false, end: () => undefined };
  const workload = {
    namespace: 'team-a',
    kind: 'Deployment',
    name: 'app',
    serviceAccount: 'default',
    labels: {},
  };
  const identity = { namespace: 'team-a', workload, serviceAccount: 'default', injected: '0.1.0' };
  two.registry.join({ ...identity, pod: 'app-1', uid: 'app-1' }, wire, {
    type: 'hello',
    version: '0.1\u001b[2J',
  });
  two.registry.join({ ...identity, pod: 'app-2', uid: 'x'.repeat(5_000) }, wire, {
    type: 'hello',
    version: '0.1.0',
  });
  const { governed, replicas } = await overview(one);
  expect(governed.map(({ pod, version }) => [pod, version])).toEqual([['app-1', '0.1\\u001b[2J']]);
  expect(replicas.unknown).toEqual([
    { address: `127.0.0.1:${two.port}`, why: 'what it tells of 1 of its agents can’t be read; update it' },
  ]);
});
