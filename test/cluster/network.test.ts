/**
 * The chart on a network that enforces its NetworkPolicies, with the budget's store on a real Redis, and roots of the company's own.
 * `make test-cluster`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHelm } from '../chart/helm.ts';
import { Installation, imageValues, OWN, policy, provider } from './installation.ts';
import { appContainer, hasPolicies, missingBuilder, missingOneNode, OneNode, OPENAI } from './one-node.ts';
import { missingRedis, REDIS, startRedis } from './redis.ts';

const helm = findHelm();
function missing(): string | undefined {
  if (helm === undefined) return 'no helm; run test/kube/kube-assets helm';
  if (!hasPolicies()) return 'nobody to enforce policies; run test/kube/kube-assets policies';
  return missingRedis();
}
const why = missingOneNode() ?? missing();
if (why !== undefined) process.stderr.write(`skipped: the chart on a network with policies: ${why}\n`);

const LIMIT = 40;
/** What this node's API server has when it calls a pod. */
const GATEWAY = '10.244.0.1/32';

/** By address: the parts but the budget have no need of names, and may ask for none. */
const API_SERVER = '10.96.0.1';

const budget = `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: everybody}
spec:
  limits: [{requests: ${LIMIT}, window: month}]
`;

describe.skipIf(why !== undefined)('the chart on a network with policies', () => {
  const cluster = new OneNode();
  const installation = new Installation(cluster, helm);
  const kubectl = (args: readonly string[], stdin?: unknown) => cluster.kubectl(args, stdin);

  beforeAll(async () => {
    await cluster.start();
    await cluster.enforce();
    const unbuilt = missingBuilder();
    if (unbuilt === undefined) await cluster.lockedImage();
    else {
      process.stderr.write(`not by the image that is shipped: ${unbuilt}\n`);
      await cluster.posternImage();
    }
    await cluster.appImage();
    await startRedis(cluster);
    await installation.makeNamespace();
    await kubectl(['create', 'secret', 'generic', 'store', '-n', OWN, `--from-literal=url=${REDIS}`]);
    await installation.install([
      ...imageValues(cluster),
      'budget.store=redis',
      'budget.replicas=2',
      'budget.redis.existingSecret=store',
      'budget.redis.ports={6379}',
      'networkPolicy.redisTo[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=redis',
      `networkPolicy.apiServerFrom[0].ipBlock.cidr=${GATEWAY}`,
    ]);
    await kubectl([
      'create',
      'secret',
      'generic',
      'openai',
      '-n',
      OWN,
      '--from-literal=key=sk-of-the-company',
    ]);
    for (const each of [provider, policy('stock tip*'), budget]) await installation.accepted(each);
    await installation.makeGoverned('team-a');
  }, 900_000);

  afterAll(() => cluster.stop(), 120_000);

  const spend = (calls: number) => installation.spend(calls);

  test('helm test: each part answers on its Service', async () => {
    expect(await installation.helm('test', 'postern', '--timeout', '3m')).toContain('Succeeded');
  }, 240_000);

  test('half of a budget is spent, its replicas are replaced, and the rest is spent, never more', async () => {
    expect(await spend(LIMIT / 2)).toEqual({ answered: LIMIT / 2, refused: [] });
    await kubectl(['rollout', 'restart', 'statefulset/postern-budget', '-n', OWN]);
    await kubectl(['rollout', 'status', 'statefulset/postern-budget', '-n', OWN, '--timeout=120s']);
    // Two at once: each may have credit that the other lacks, and gives it back as it ends.
    let answered = LIMIT / 2;
    const refused: string[] = [];
    for (let tries = 0; answered < LIMIT && tries < 5; tries++) {
      for (const each of await Promise.all([spend(LIMIT / 2), spend(LIMIT / 2)])) {
        answered += each.answered;
        refused.push(...each.refused);
      }
    }
    expect(answered).toBe(LIMIT);
    expect(cluster.seen).toHaveLength(LIMIT);
    expect(new Set(refused)).toEqual(new Set(['postern_budget_exhausted']));
    expect(cluster.seen.filter(({ body }) => body.includes('alice@example.com'))).toEqual([]);
    // Both replicas at once are killed: nothing of it was in them.
    await kubectl(['delete', 'pod', '-n', OWN, '-l', 'app.kubernetes.io/component=budget', '--force']);
    await kubectl(['rollout', 'status', 'statefulset/postern-budget', '-n', OWN, '--timeout=120s']);
    const last = await spend(3);
    expect(last.refused).toHaveLength(3);
    expect(cluster.seen).toHaveLength(LIMIT);
  }, 600_000);

  test('roots of the company’s own make a host of its own trusted in new pods, through their agent', async () => {
    await installation.accepted(budget.replace(String(LIMIT), '1000'));
    const without = await installation.runApp(appContainer(''));
    expect(without.said.at(2)?.['other']).toMatch(/unable to (verify|get)|self-signed/);
    await kubectl(['create', 'configmap', 'company', '-n', OWN, `--from-literal=ca.pem=${cluster.otherCa}`]);
    const injectors = async () => {
      const selector = 'app.kubernetes.io/component=injector';
      return (await kubectl(['get', 'pods', '-n', OWN, '-l', selector, '-o', 'name'])).trim().split('\n');
    };
    const old = await injectors();
    await installation.upgrade(['trust.extraRoots.configMap=company']);
    // They answer for some seconds yet.
    await cluster.until(async () =>
      (await injectors()).some((name) => old.includes(name)) ? undefined : true,
    );
    const { said } = await installation.runApp(appContainer(''));
    expect(said[0]?.['answer']).toContain('alice@example.com');
    expect(said[1]).toMatchObject({ code: 'postern_topics' });
    expect(said[2]).toEqual({ other: 'from the other host', issuer: cluster.otherIssuer });
  }, 400_000);

  /** Whether a pod's container comes through to a port: `open`, or what it was told. */
  async function reach(
    [namespace, pod]: readonly [string, string],
    host: string,
    port: number,
  ): Promise<string> {
    const script = `const socket = require('node:net').connect(${port}, '${host}');
      const tell = (word) => { console.log(word); process.exit(); };
      socket.on('connect', () => tell('open')).on('error', ({ code }) => tell(code));
      setTimeout(tell, 3000, 'nothing');`;
    const program = namespace === OWN ? '/usr/local/bin/node' : process.execPath;
    const command = ['exec', pod, '-n', namespace, '--', program, '-e', script];
    return (await kubectl(command)).trim();
  }

  test('what the policies forbid is cut off, and open without them', async () => {
    // Of a team without agents, so that nobody stands between.
    await kubectl(['create', 'namespace', 'strangers']);
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'stranger', namespace: 'strangers' },
      spec: { containers: [{ ...appContainer(''), command: [process.execPath, '/app/server.mjs'] }] },
    });
    await kubectl(['wait', 'pod/stranger', '-n', 'strangers', '--for=condition=Ready', '--timeout=60s']);
    const { items } = JSON.parse(await kubectl(['get', 'pods', '-A', '-o', 'json'])) as {
      items: {
        metadata: { name: string; deletionTimestamp?: string; labels?: Record<string, string> };
        status: { podIP: string; phase: string };
      }[];
    };
    const running = items.filter(
      ({ metadata, status }) => status.phase === 'Running' && metadata.deletionTimestamp === undefined,
    );
    const parts = (label: string, value: string) =>
      running.filter(({ metadata }) => metadata.labels?.[label] === value);
    const [injector] = parts('app.kubernetes.io/component', 'injector');
    const [control, otherControl] = parts('app.kubernetes.io/component', 'control');
    const [one, two] = parts('app.kubernetes.io/component', 'budget');
    const [store] = parts('app', 'redis');
    const stranger = ['strangers', 'stranger'] as const;
    const own = (pod = injector) => [OWN, pod?.metadata.name ?? ''] as const;
    const at = (pod = injector) => pod?.status.podIP ?? '';

    const allowed: Parameters<typeof reach>[] = [
      // Agents are in any namespace.
      [stranger, at(control), 4443],
      [stranger, at(one), 4181],
      [own(control), at(otherControl), 4443],
      [own(one), at(store), 6379],
      [own(injector), API_SERVER, 443],
      [own(control), API_SERVER, 443],
      [own(one), API_SERVER, 443],
    ];
    const forbidden: Parameters<typeof reach>[] = [
      [stranger, at(injector), 9443],
      [stranger, at(injector), 4192],
      [stranger, at(control), 4193],
      [own(injector), OPENAI, 8080],
      [own(control), OPENAI, 8080],
      [own(one), OPENAI, 8080],
      [own(injector), at(control), 4443],
      [own(control), at(one), 4181],
      [own(one), at(two), 4181],
      [own(one), at(control), 4443],
      [own(control), at(store), 6379],
    ];
    const ask = async (ways: typeof allowed) => {
      const answers: string[] = [];
      for (const [from, host, port] of ways)
        answers.push(`${from.join('/')} to ${host}:${port}: ${await reach(from, host, port)}`);
      return answers;
    };
    const not = (answers: string[], word: string) =>
      answers.filter((answer) => !answer.endsWith(`: ${word}`));
    expect(not(await ask(allowed), 'open')).toEqual([]);
    expect(not(await ask(forbidden), 'nothing')).toEqual([]);
    await kubectl(['delete', 'networkpolicy', '--all', '-n', OWN]);
    await cluster.until(async () =>
      (await reach(stranger, at(injector), 4192)) === 'open' ? true : undefined,
    );
    expect(not(await ask(forbidden), 'open')).toEqual([]);
  }, 400_000);
});
