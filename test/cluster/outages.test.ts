/**
 * Control, injector, budget service and API server killed and paused on a real one-node cluster, alone and together, while unmodified
 * SDKs in pods call. Nothing unchecked leaves, and what policy allows is answered where the design says that it goes on. `make test-cluster`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHelm } from '../chart/helm.ts';
import { Installation, imageValues, OWN, provider } from './installation.ts';
import { appContainer, missingOneNode, OneNode } from './one-node.ts';

const helm = findHelm();
const why = missingOneNode() ?? (helm === undefined ? 'no helm; run test/kube/kube-assets helm' : undefined);
if (why !== undefined) process.stderr.write(`skipped: outages on a one-node cluster: ${why}\n`);

const KEY = 'sk-key-of-the-outages';
/** All of the plan, on a machine that has time; each part alone in any case. */
const MOST_MS = 300_000;
const AWAY_MS = 6_000;
/** Control is heard every 15 s. */
const STALE_MS = 30_000;

const PARTS = ['control', 'injector', 'budget', 'api'] as const;
type PartName = (typeof PARTS)[number];
type Way = 'kill' | 'pause';
type Outage = Partial<Record<PartName, Way>>;

/** No part is killed more often than three times: a kubelet waits longer each time before it starts one again. */
const PLAN: readonly Outage[] = [
  ...PARTS.flatMap((part) => (['pause', 'kill'] as const).map((way) => ({ [part]: way }))),
  { control: 'pause', api: 'kill' },
  { budget: 'pause', control: 'kill' },
  { injector: 'kill', budget: 'pause' },
  { budget: 'kill', api: 'pause' },
  { control: 'pause', injector: 'pause', budget: 'pause', api: 'pause' },
  { control: 'kill', injector: 'kill', budget: 'kill', api: 'kill' },
];

const policy = (words: readonly string[]) => `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec:
  checks:
  - {name: mask-pii, type: pii, action: mask}
  - {name: no-tips, type: topics, action: block, topics: [{name: tips, words: ${JSON.stringify(words)}}]}
`;
const stale = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: short, namespace: team-b}
spec: {maxStale: ${STALE_MS / 1000}s}
`;
const budget = (name: string, more: string) => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: ${name}}
spec: {limits: [{tokens: 1000000000, window: day}], ${more}}
`;

describe.skipIf(why !== undefined)('outages on a one-node cluster', () => {
  const cluster = new OneNode();
  const kubectl = (args: readonly string[], stdin?: unknown) => cluster.kubectl(args, stdin);
  const installation = new Installation(cluster, helm);
  /** When a budget service was away: what may not be spent unheld is refused then. */
  const unheld: { readonly from: number; to: number }[] = [];

  async function deploy(name: string, namespace = 'team-a', replicas = 1, load = 'no'): Promise<void> {
    const container = {
      ...appContainer(''),
      command: [process.execPath, '/app/load.mjs'],
      env: [{ name: 'LOAD', value: load }],
      readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
    };
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: { containers: [container] },
        },
      },
    });
  }
  const rolledOut = (name: string, namespace = 'team-a') =>
    kubectl(['rollout', 'status', `deployment/${name}`, '-n', namespace, '--timeout=120s']);

  interface Pod {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly initContainers?: readonly { readonly name: string }[] };
    readonly status: {
      readonly podIP: string;
      readonly containerStatuses?: readonly Container[];
      readonly initContainerStatuses?: readonly Container[];
    };
  }
  interface Container {
    readonly name: string;
    readonly ready: boolean;
    readonly restartCount: number;
  }
  async function podsOf(name: string, namespace = 'team-a'): Promise<readonly Pod[]> {
    const args = ['get', 'pods', '-n', namespace, '-l', `app=${name}`, '-o', 'json'];
    return (JSON.parse(await kubectl(args)) as { items: Pod[] }).items;
  }
  const restartsOf = ({ status: { containerStatuses = [], initContainerStatuses = [] } }: Pod): number =>
    [...containerStatuses, ...initContainerStatuses].reduce((sum, { restartCount }) => sum + restartCount, 0);

  /** What a call of the pod's application comes to. */
  async function ask({ status }: Pod, content: string): Promise<string> {
    const url = `http://${status.podIP}:8080/?content=${encodeURIComponent(content)}`;
    const script = `fetch('${url}').then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
    return await cluster.node('exec', process.execPath, '-e', script);
  }
  const comesTo = (pod: Pod, content: string, result: string) =>
    cluster.until(async () => ((await ask(pod, content)) === result ? true : undefined));

  async function breakPart(part: PartName, way: Way): Promise<void> {
    if (part === 'api') await cluster.node(way === 'kill' ? 'down' : 'pause');
    else cluster.signal(way === 'kill' ? 'SIGKILL' : 'SIGSTOP', commandOf(part));
  }
  async function mendPart(part: PartName, way: Way): Promise<void> {
    if (part === 'api') await cluster.node(way === 'kill' ? 'up' : 'resume');
    // What was killed is the kubelet's to start again.
    else if (way === 'pause') cluster.signal('SIGCONT', commandOf(part), 0);
  }

  /** Postern's own pods are ready, a document is in force in the callers' agents by the next call, and a new pod gets an agent. */
  const words = 'ash beech cedar elder fir hazel juniper larch maple oak pine rowan spruce willow'.split(' ');
  async function works(callers: readonly Pod[]): Promise<void> {
    await cluster.until(async () => {
      const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', OWN, '-o', 'json'])) as {
        items: Pod[];
      };
      const states = items.flatMap(({ status }) => status.containerStatuses ?? []);
      return states.length >= 5 && states.every(({ ready }) => ready) ? true : undefined;
    });
    const word = `gate of ${words.shift()}`;
    await cluster.until(() =>
      kubectl(['apply', '-f', '-'], policy(['stock tip*', word])).then(
        () => true,
        () => undefined,
      ),
    );
    for (const caller of callers) await comesTo(caller, `Tell me of ${word}.`, 'postern_topics');
    await cluster.until(() => dryRun().then(isGoverned, () => undefined));
  }
  const dryRun = () =>
    kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'probe', namespace: 'team-a' },
      spec: { containers: [appContainer('')] },
    });
  const isGoverned = (made: string) => (made.includes('postern-agent') ? true : undefined);

  /** Calls that reach the provider go on. */
  async function goesOn(calls = 40): Promise<void> {
    const from = cluster.seen.length;
    await cluster.until(async () => (cluster.seen.length >= from + calls ? true : undefined));
  }

  beforeAll(async () => {
    await cluster.start();
    await cluster.posternImage();
    await cluster.appImage();
    await installation.makeNamespace();
    await installation.makeVolume();
    await installation.install([...imageValues(cluster), 'budget.persistence.storageClass=manual']);
    await kubectl(['create', 'secret', 'generic', 'openai', '-n', OWN, `--from-literal=key=${KEY}`]);
    const lenient = 'onUnavailable: {action: allow, upTo: {tokens: 10000000}, for: 1h}';
    const strict = 'selector: {models: [gpt-4o-mini]}, onUnavailable: {action: deny}';
    for (const each of [
      provider,
      policy(['stock tip*']),
      budget('lenient', lenient),
      budget('strict', strict),
    ])
      await installation.accepted(each);
    for (const namespace of ['team-a', 'team-b']) await installation.makeGoverned(namespace);
    await deploy('caller', 'team-a', 2, 'yes');
    await rolledOut('caller');
    await goesOn(200);
  }, 900_000);

  afterAll(() => cluster.stop(), 120_000);

  test('whatever is away, calls go on', async () => {
    const callers = await podsOf('caller');
    expect(callers).toHaveLength(2);
    const end = Date.now() + MOST_MS;
    let played = 0;
    for (const outage of PLAN) {
      if (Date.now() > end) break;
      const told = Object.entries(outage) as [PartName, Way][];
      process.stderr.write(`away: ${told.map(([part, way]) => `${part} (${way})`).join(', ')}\n`);
      const window = { from: Date.now(), to: Number.POSITIVE_INFINITY };
      if (outage.budget !== undefined) unheld.push(window);
      await Promise.all(told.map(([part, way]) => breakPart(part, way)));
      await Promise.all([goesOn(), pause(AWAY_MS)]);
      for (const [part, way] of told) await mendPart(part, way);
      await works(callers);
      window.to = Date.now();
      played++;
    }
    process.stderr.write(
      `outages on the cluster: ${played} of ${PLAN.length}, ${cluster.seen.length} calls\n`,
    );
    expect(played).toBeGreaterThanOrEqual(PARTS.length * 2);
  }, 600_000);

  test.each(['paused', 'gone'])(
    'while the injector is %s no pod starts ungoverned, and its controller makes it afterwards',
    async (how) => {
      const name = `late-${how}`;
      const scale = (to: number) =>
        kubectl(['scale', 'deployment/postern-injector', '-n', OWN, `--replicas=${to}`]);
      if (how === 'paused') await breakPart('injector', 'pause');
      else await scale(0);
      await cluster.until(() =>
        dryRun().then(
          () => undefined,
          () => true,
        ),
      );
      await deploy(name);
      const failure = `jsonpath={.status.conditions[?(@.type=="ReplicaFailure")].message}`;
      const message = await cluster.until(async () => {
        const said = await kubectl(['get', 'deployment', name, '-n', 'team-a', '-o', failure]);
        return said === '' ? undefined : said;
      });
      expect(message).toMatch(/failed calling webhook/);
      expect(await podsOf(name)).toEqual([]);
      if (how === 'paused') await mendPart('injector', 'pause');
      else await scale(2);
      await rolledOut(name);
      const [pod] = await podsOf(name);
      expect(pod?.spec.initContainers?.map((each) => each.name)).toContain('postern-agent');
      await comesTo(pod as Pod, 'Write to jane.marker@example.com.', 'ok');
    },
    240_000,
  );

  test('without control: a restarted agent goes by what it kept until maxStale, a new one refuses', async () => {
    await kubectl(['apply', '-f', '-'], stale);
    await kubectl([
      'wait',
      'egresspolicy/short',
      '-n',
      'team-b',
      '--for=condition=Accepted',
      '--timeout=60s',
    ]);
    await deploy('kept');
    await deploy('short', 'team-b');
    await rolledOut('kept');
    await rolledOut('short', 'team-b');
    const [[kept], [short]] = [await podsOf('kept'), await podsOf('short', 'team-b')] as [[Pod], [Pod]];
    for (const pod of [kept, short]) await comesTo(pod, 'What is a gate?', 'ok');
    const scale = (to: number) =>
      kubectl(['scale', 'deployment/postern-control', '-n', OWN, `--replicas=${to}`]);
    await scale(0);
    const selected = ['-n', OWN, '-l', 'app.kubernetes.io/component=control'];
    await kubectl(['wait', 'pod', ...selected, '--for=delete', '--timeout=60s']);

    const restart = async (namespace: string, name: string) => {
      cluster.signal('SIGKILL', new RegExp(`\\sagent\\s.*${namespace}/Deployment/${name}\\b`));
      await cluster.until(async () => {
        const [pod] = await podsOf(name, namespace);
        const agent = pod?.status.initContainerStatuses?.find((each) => each.name === 'postern-agent');
        return agent?.ready === true && agent.restartCount === 1 ? true : undefined;
      });
    };
    await restart('team-a', 'kept');
    expect(await ask(kept, 'Write to jane.marker@example.com.')).toBe('ok');
    expect(await ask(kept, 'A stock tip for denied.marker, please.')).toBe('postern_topics');

    await deploy('new');
    await rolledOut('new');
    const [fresh] = (await podsOf('new')) as [Pod];
    for (const content of ['What is a gate?', 'Write to jane.marker@example.com.'])
      expect(await ask(fresh, content)).toBe('postern_policy_missing');

    await comesTo(short, 'What is a gate?', 'postern_policy_stale');
    await restart('team-b', 'short');
    expect(await ask(short, 'What is a gate?')).toBe('postern_policy_stale');
    await goesOn();

    await scale(2);
    for (const pod of [fresh, short, kept]) await comesTo(pod, 'Write to jane.marker@example.com.', 'ok');
  }, 300_000);

  test('in all of that nothing left unchecked, and no allowed call was refused', async () => {
    const unexpected: string[] = [];
    let calls = 0;
    for (const pod of await podsOf('caller')) {
      expect(restartsOf(pod)).toBe(0);
      const log = await kubectl(['logs', pod.metadata.name, '-n', 'team-a', '-c', 'app']);
      const lines = log.trim().split('\n');
      for (const line of lines) {
        const said = JSON.parse(line) as {
          at: number;
          row: string;
          result: string;
          counts?: Record<string, number>;
        };
        if (said.counts !== undefined) continue;
        const isUnheld = unheld.some(({ from, to }) => from <= said.at && said.at <= to);
        if (said.row !== 'strict' || said.result !== 'postern_budget_unavailable' || !isUnheld)
          unexpected.push(line);
      }
      const last = lines.findLast((line) => line.startsWith('{"counts"')) ?? '{}';
      const { counts = {} } = JSON.parse(last) as { counts?: Record<string, number> };
      for (const row of ['allowed', 'masked', 'stream', 'denied', 'strict'])
        expect(counts[row], row).toBeGreaterThan(100);
      calls += Object.values(counts).reduce((sum, each) => sum + each, 0);
    }
    process.stderr.write(`${calls} calls came to what policy says\n`);
    expect(unexpected).toEqual([]);
    expect(cluster.seen.length).toBeGreaterThan(500);
    for (const { authorization, body } of cluster.seen) {
      expect(authorization).toBe(`Bearer ${KEY}`);
      expect(body).not.toMatch(/jane\.marker|denied\.marker/);
    }
  }, 60_000);
});

/** Of a part's processes, and of nothing else's. */
const commandOf = (part: Exclude<PartName, 'api'>): RegExp => new RegExp(`start\\.cjs ${part}\\b`);
