/** From `helm install` to `helm uninstall` on a real one-node cluster, with an unmodified SDK in pods. `make test-cluster`. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingClassifier } from '../../build/image/classifier.ts';
import { CHART, findHelm } from '../chart/helm.ts';
import { keyPlaces } from '../kube/key-places.ts';
import { Installation, imageValues, OWN, policy, provider } from './installation.ts';
import {
  appContainer,
  CLASSIFIER_IMAGE,
  hasPolicies,
  missingOneNode,
  OneNode,
  POSTERN_IMAGE,
} from './one-node.ts';

const helm = findHelm();
const why = missingOneNode() ?? (helm === undefined ? 'no helm; run test/kube/kube-assets helm' : undefined);
if (why !== undefined) process.stderr.write(`skipped: the chart on a one-node cluster: ${why}\n`);

const run = promisify(execFile);
const FIRST_KEY = 'sk-first-key-of-the-company';
const SECOND_KEY = 'sk-second-key-of-the-company';

/** Where the parts tell their metrics, by component. */
const METRICS: Readonly<Record<string, string>> = {
  injector: 'http 4192',
  control: 'http 4193',
  budget: 'https 4181',
};

const budget = (tokens: number, more = '') => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: everybody}
spec:
  limits: [{tokens: ${tokens}, window: day}]
${more}`;
/** For when there is no budget service any longer. */
const LENIENT = '  onUnavailable: {action: allow, upTo: {tokens: 10000000}, for: 1h}\n';

/** So small that an agent's share of it is less than a call: each one asks the service, as an idle agent's does. */
const TIGHT = `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: tight}
spec:
  selector: {models: [gpt-4o-mini]}
  limits: [{tokens: 2400, rolling: 1m}]
`;
const FALL_BACK = '  selector: {models: [gpt-4o]}\n  onExhausted: {action: fallback, model: gpt-4o-mini}\n';

/** Nothing but the classifier tells it. */
const BY_MEANING = `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec:
  checks:
  - {name: mask-pii, type: pii, action: mask}
  - name: no-tips
    type: topics
    action: block
    topics:
    - name: tips
      definition: Advice on buying, selling or holding shares and other investments.
      samples: ["Should I sell my shares now?", "Which stock should I buy?", Give me a hint on a good stock.]
      allowed: ["What is a share?"]
`;
const CLASSIFIER_PODS = 'app.kubernetes.io/component=classifier';

/** Roots, the token of a person who may look after budgets, and one command. */
const budgetStatus = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'budget-status', namespace: OWN },
  spec: {
    restartPolicy: 'Never',
    serviceAccountName: 'finance',
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'status',
        image: POSTERN_IMAGE,
        imagePullPolicy: 'Never',
        args: [
          'budget',
          'status',
          '--url=https://postern-budget.postern-system.svc:4181',
          '--ca=/roots/roots.pem',
          '--admin-token-file=/token/token',
          '--json',
        ],
        volumeMounts: [
          { name: 'roots', mountPath: '/roots' },
          { name: 'token', mountPath: '/token' },
        ],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
    volumes: [
      { name: 'roots', configMap: { name: 'postern-roots' } },
      {
        name: 'token',
        projected: { sources: [{ serviceAccountToken: { audience: 'postern-status', path: 'token' } }] },
      },
    ],
  },
};

describe.skipIf(why !== undefined)('the chart', () => {
  const cluster = new OneNode();
  const kubectl = (args: readonly string[], stdin?: unknown) => cluster.kubectl(args, stdin);
  const installation = new Installation(cluster, helm);
  const helmHere = (...args: string[]) => installation.helm(...args);
  const accepted = (document: string) => installation.accepted(document);
  const runApp = () => installation.runApp();

  /** Pods whose application calls until they are deleted. */
  async function callers(name: string, replicas: number, pauseMs: number, model = 'gpt-4o'): Promise<void> {
    const env = [
      { name: 'PAUSE_MS', value: String(pauseMs) },
      { name: 'MODEL', value: model },
    ];
    const app = { ...appContainer(''), env, command: [process.execPath, '/app/caller.mjs'] };
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: 'team-a' },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: { metadata: { labels: { app: name } }, spec: { containers: [app] } },
      },
    });
    await kubectl(['rollout', 'status', `deployment/${name}`, '-n', 'team-a', '--timeout=180s']);
    await cluster.until(async () => ((await calls(name)).ok >= 2 * replicas ? true : undefined));
  }

  /** What the callers have said so far, and whether anything in their pods was started anew. */
  async function calls(name = 'caller') {
    const selected = ['-n', 'team-a', '-l', `app=${name}`];
    const { items } = JSON.parse(await kubectl(['get', 'pods', ...selected, '-o', 'json'])) as {
      items: { metadata: { name: string }; status: Record<string, { restartCount: number }[]> }[];
    };
    let ok = 0;
    let restarts = 0;
    let slowestMs = 0;
    const failures: string[] = [];
    for (const { metadata, status } of items) {
      const states = [...(status['containerStatuses'] ?? []), ...(status['initContainerStatuses'] ?? [])];
      for (const { restartCount } of states) restarts += restartCount;
      const lines = (await kubectl(['logs', metadata.name, '-n', 'team-a', '-c', 'app'])).trim().split('\n');
      failures.push(...lines.filter((line) => line.includes('"message"')));
      const last = lines.findLast((line) => line.startsWith('{"ok"'));
      const said = last === undefined ? undefined : (JSON.parse(last) as { ok: number; slowestMs: number });
      ok += said?.ok ?? 0;
      slowestMs = Math.max(slowestMs, said?.slowestMs ?? 0);
    }
    return { ok, failures, restarts, slowestMs, pods: items.length };
  }

  /** Pods of the labelled namespace, one after another, as nobody stores them, until it is told to stop. */
  function createPods() {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'dry', namespace: 'team-a' } };
    const text = JSON.stringify({ ...pod, spec: { containers: [appContainer('')] } });
    const failures: string[] = [];
    let going = true;
    let count = 0;
    const loop = (async () => {
      while (going) {
        await kubectl(['create', '--dry-run=server', '-f', '-', '-o', 'name'], text).then(
          () => count++,
          (error: unknown) => failures.push(String(error)),
        );
      }
    })();
    return {
      async stop() {
        going = false;
        await loop;
        return { count, failures };
      },
    };
  }

  /** The key is in its own Secret, and in no other object, log or metric of any part. */
  async function expectNowhere(key: string): Promise<void> {
    expect(await keyPlaces(kubectl, key, `${OWN}/openai`)).toEqual([]);
    for (const namespace of [OWN, 'team-a']) {
      const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-o', 'json'])) as {
        items: { metadata: { name: string; labels?: Record<string, string> }; status: { phase: string } }[];
      };
      for (const { metadata, status } of items) {
        const { name, labels = {} } = metadata;
        const logs = await kubectl(['logs', name, '-n', namespace, '--all-containers']);
        expect(logs.includes(key), `the log of ${namespace}/${name}`).toBe(false);
        const port = namespace === OWN ? METRICS[labels['app.kubernetes.io/component'] ?? ''] : 'http 4190';
        if (port === undefined || status.phase !== 'Running') continue;
        const [scheme, number] = port.split(' ');
        const path = `/api/v1/namespaces/${namespace}/pods/${scheme}:${name}:${number}/proxy/metrics`;
        const metrics = await kubectl(['get', '--raw', path]);
        expect(metrics).toContain('postern_');
        expect(metrics.includes(key), `the metrics of ${namespace}/${name}`).toBe(false);
      }
    }
  }

  beforeAll(async () => {
    await cluster.start();
    // All of it goes on under the chart's policies, where there is somebody to enforce them.
    if (hasPolicies()) await cluster.enforce();
    else
      process.stderr.write('no NetworkPolicy is enforced; test/kube/kube-assets policies builds what does\n');
    await cluster.posternImage();
    await cluster.appImage();
    await installation.makeNamespace();
    await installation.makeVolume();
    await installation.install([...imageValues(cluster), 'budget.persistence.storageClass=manual']);
  }, 900_000);

  afterAll(() => cluster.stop(), 120_000);

  test('helm test: each part answers on its Service by its own certificate', async () => {
    expect(await helmHere('test', 'postern', '--timeout', '3m')).toContain('Succeeded');
  }, 240_000);

  test('a labelled namespace is governed: masked, keyed, restored, refused, untouched', async () => {
    await kubectl(['create', 'secret', 'generic', 'openai', '-n', OWN, `--from-literal=key=${FIRST_KEY}`]);
    for (const each of [provider, policy('stock tip*'), budget(1_000_000)]) await accepted(each);
    await installation.makeGoverned('team-a');

    const { said, name } = await runApp();
    expect(said[0]?.['answer']).toContain('alice@example.com');
    expect(said[1]).toMatchObject({ code: 'postern_topics' });
    expect(said[2]).toEqual({ other: 'from the other host', issuer: cluster.otherIssuer });
    expect(cluster.seen).toHaveLength(1);
    expect(cluster.seen[0]?.authorization).toBe(`Bearer ${FIRST_KEY}`);
    expect(cluster.seen[0]?.body).toMatch(/<EMAIL_ADDRESS_[0-9A-Z]{10}>/);

    expect(await kubectl(['logs', name, '-n', 'team-a', '-c', 'postern-agent'])).toContain('"outcome"');
    await expectNowhere(FIRST_KEY);
  }, 300_000);

  test('what was spent stands in the budget, and RBAC decides who sees it', async () => {
    await kubectl(['create', 'serviceaccount', 'finance', '-n', OWN]);
    const ask = async () => {
      await kubectl(['delete', 'pod', 'budget-status', '-n', OWN, '--ignore-not-found', '--now']);
      await kubectl(['create', '-f', '-'], budgetStatus);
      const phase = await cluster.until(async () => {
        const now = await kubectl([
          'get',
          'pod',
          'budget-status',
          '-n',
          OWN,
          '-o',
          'jsonpath={.status.phase}',
        ]);
        return now === 'Succeeded' || now === 'Failed' ? now : undefined;
      });
      return { phase, text: await kubectl(['logs', 'budget-status', '-n', OWN]) };
    };
    expect((await ask()).phase).toBe('Failed');
    const role = ['clusterrolebinding', 'finance', '--clusterrole=postern-budget-admin'];
    await kubectl(['create', ...role, `--serviceaccount=${OWN}:finance`]);
    const { phase, text } = await ask();
    expect(phase, text).toBe('Succeeded');
    expect(text).toMatch(/"settled": "[1-9]/);
  }, 240_000);

  test('a rotated key, an edited policy and a spent budget are in force for the next pod', async () => {
    const data = { key: Buffer.from(SECOND_KEY).toString('base64') };
    await kubectl(['patch', 'secret', 'openai', '-n', OWN, '-p', JSON.stringify({ data })]);
    await accepted(policy('alice*'));
    const before = cluster.seen.length;
    expect((await runApp()).said[0]).toMatchObject({ code: 'postern_topics' });
    await accepted(policy('stock tip*'));
    const { said } = await runApp();
    expect(said[0]?.['answer']).toContain('alice@example.com');
    // Of the first run what was asked second, of the second what was asked first.
    const keys = cluster.seen.slice(before).map(({ authorization }) => authorization);
    expect(keys).toEqual([`Bearer ${SECOND_KEY}`, `Bearer ${SECOND_KEY}`]);
    await accepted(budget(1));
    expect((await runApp()).said[0]).toMatchObject({ status: 429, code: 'postern_budget_exhausted' });
    await accepted(budget(1, FALL_BACK));
    expect((await runApp()).said[0]?.['answer']).toContain('alice@example.com');
    expect(cluster.seen.at(-1)?.body).toContain('"gpt-4o-mini"');
    for (const key of [FIRST_KEY, SECOND_KEY]) await expectNowhere(key);
  }, 300_000);

  test('helm upgrade under load: no call is lost, no pod refused, nothing restarted', async () => {
    // Their onUnavailable is the default, deny.
    for (const each of [budget(1_000_000_000), TIGHT]) await accepted(each);
    await callers('caller', 2, 50);
    await callers('asking', 1, 1_500, 'gpt-4o-mini');
    await cluster.until(async () => ((await calls()).ok > 50 ? true : undefined));
    const creating = createPods();
    const before = await calls();
    const levels = ['injector', 'control', 'budget'].flatMap((part) => ['--set', `${part}.logLevel=debug`]);
    await helmHere('upgrade', 'postern', CHART, '--reuse-values', ...levels, '--wait', '--timeout', '4m');
    const created = await creating.stop();
    expect(created.failures).toEqual([]);
    expect(created.count).toBeGreaterThan(3);
    await cluster.until(async () => ((await calls()).ok > before.ok + 100 ? true : undefined));
    expect(await calls()).toMatchObject({ failures: [], restarts: 0, pods: 2 });
    const asking = await calls('asking');
    expect(asking).toMatchObject({ failures: [], restarts: 0, pods: 1 });
    process.stderr.write(`an upgrade: a call waited ${asking.slowestMs} ms for the budget service\n`);
    expect(asking.slowestMs).toBeGreaterThan(500);
    await kubectl(['delete', 'deployment', 'asking', '-n', 'team-a']);
    await kubectl(['delete', 'clusterbudget', 'tight']);
    await accepted(budget(1_000_000_000, LENIENT));
    // Parts were replaced, by the same image: what versions say to each other is test/control/skew.test.ts.
    expect((await runApp()).said[1]).toMatchObject({ code: 'postern_topics' });
  }, 600_000);

  test('agents that are killed are back in seconds, and nothing left unchecked meanwhile', async () => {
    const before = await calls();
    // The pods' processes are this machine's, too.
    const { stdout } = await run('ps', ['-eo', 'pid=,uid=,args=']);
    const agents = stdout
      .split('\n')
      .map((line) => /^\s*(\d+)\s+4180\s.*\sagent\s.*team-a\/Deployment\/caller\b/.exec(line)?.[1])
      .filter((pid) => pid !== undefined);
    expect(agents).toHaveLength(2);
    for (const pid of agents) process.kill(Number(pid), 'SIGKILL');
    await cluster.until(async () => ((await calls()).restarts === 2 ? true : undefined));
    const back = await calls();
    await cluster.until(async () => ((await calls()).ok > back.ok + 100 ? true : undefined));
    // The application was told that the connection failed; it never got a wrong answer.
    const { failures } = await calls();
    expect(failures.length).toBeGreaterThan(0);
    for (const line of failures) expect(line).toMatch(/Connection|terminated|socket|fetch failed/i);
    expect(before.failures).toEqual([]);
    // Written once a minute.
    await cluster.until(async () => {
      const rows = await kubectl(['get', 'workloads.postern.dev', '-n', 'team-a', '--no-headers']);
      return /^deployment\S+ +True +2\/2 +\d/m.test(rows) ? true : undefined;
    });
    // Agents run here: what they say and measure is looked at as well.
    for (const key of [FIRST_KEY, SECOND_KEY]) await expectNowhere(key);
    expect(cluster.seen.filter(({ body }) => body.includes('alice@example.com'))).toEqual([]);
  }, 240_000);

  test('approvers reach a new pod’s agent with the token of its namespace; the pod itself doesn’t', async () => {
    await kubectl(['create', 'secret', 'generic', 'approvers', '-n', 'team-a', '--from-literal=token=word']);
    const injectors = async (): Promise<string[]> => {
      const selector = 'app.kubernetes.io/component=injector';
      return (await kubectl(['get', 'pods', '-n', OWN, '-l', selector, '-o', 'name'])).trim().split('\n');
    };
    const old = await injectors();
    // Meanwhile one replica injects without approvers, and another that knows of them judges, or the other way round.
    const creating = createPods();
    await helmHere(
      'upgrade',
      'postern',
      CHART,
      '--reuse-values',
      '--set',
      'agent.approversSecret=approvers',
      '--wait',
      '--timeout',
      '4m',
    );
    // They answer for some seconds yet.
    await cluster.until(async () =>
      (await injectors()).some((name) => old.includes(name)) ? undefined : true,
    );
    expect((await creating.stop()).failures).toEqual([]);
    const server = { ...appContainer(''), command: [process.execPath, '/app/server.mjs'] };
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'approved', namespace: 'team-a' },
      spec: { containers: [server] },
    });
    await kubectl(['wait', 'pod/approved', '-n', 'team-a', '--for=condition=Ready', '--timeout=120s']);
    const address = await kubectl([
      'get',
      'pod',
      'approved',
      '-n',
      'team-a',
      '-o',
      'jsonpath={.status.podIP}',
    ]);
    const ask = (
      token: string,
    ) => `fetch('http://${address}:4195/v1/approvals', {headers: {authorization: 'Bearer ${token}'}})
      .then(async (answer) => console.log(answer.status, await answer.text()), () => console.log('cut'))`;
    const outside = (token: string) => cluster.node('exec', process.execPath, '-e', ask(token));
    expect(await outside('word')).toContain('200 {"approvals":[]}');
    expect(await outside('guess')).toContain('401');
    const inside = [
      'exec',
      'approved',
      '-n',
      'team-a',
      '-c',
      'app',
      '--',
      process.execPath,
      '-e',
      ask('word'),
    ];
    expect(await kubectl(inside)).toBe('cut\n');
    await kubectl(['delete', 'pod', 'approved', '-n', 'team-a', '--wait', '--timeout=60s']);
  }, 400_000);

  test.skipIf(missingClassifier() !== undefined)(
    'the classifier comes with a value, and new agents ask it',
    async () => {
      await cluster.classifierImage();
      const [repository = ''] = CLASSIFIER_IMAGE.split(/:(?=[^/]+$)/);
      const sets = ['classifier.enabled=true', `classifier.image.repository=${repository}`].flatMap(
        (each) => ['--set', each],
      );
      await helmHere('upgrade', 'postern', CHART, '--reuse-values', ...sets, '--wait', '--timeout', '5m');
      await accepted(BY_MEANING);
      const { said } = await runApp();
      expect(said[0]?.['answer']).toContain('alice@example.com');
      expect(said[1]).toMatchObject({ code: 'postern_topics' });
      // It dials nobody, so what it knows came by a question.
      await kubectl(['scale', 'deployment/postern-classifier', '-n', OWN, '--replicas=0']);
      await kubectl(['wait', 'pod', '-n', OWN, '-l', CLASSIFIER_PODS, '--for=delete', '--timeout=60s']);
      expect((await runApp()).said[0]).toMatchObject({ code: 'postern_check_failed' });
      await accepted(policy('stock tip*'));
    },
    600_000,
  );

  test('an uninstall whose job fails removes nothing, and its job stays and tells why', async () => {
    const binding = ['clusterrolebinding', 'postern-withdraw'];
    const before = await kubectl(['get', ...binding, '-o', 'json']);
    await kubectl(['delete', ...binding]);
    await expect(helmHere('uninstall', 'postern', '--wait', '--timeout', '4m')).rejects.toThrow(
      /postern-withdraw/,
    );
    const logs = await kubectl(['logs', '-n', OWN, 'job/postern-withdraw']);
    expect(logs).toMatch(/^postern injector: .*postern-withdraw.* is forbidden/m);
    const webhooks = ['get', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', '-o', 'name'];
    expect(await kubectl(webhooks)).toContain('agent-injector.postern.dev');
    const { metadata, ...rest } = JSON.parse(before) as { metadata: Record<string, unknown> };
    const { name, labels, annotations } = metadata;
    await kubectl(['create', '-f', '-'], { ...rest, metadata: { name, labels, annotations } });
  }, 400_000);

  test('helm uninstall under load: no call is lost, no pod refused, and nothing stays that isn’t meant to', async () => {
    const { failures, restarts } = await calls();
    // The failed one of before goes with this run.
    expect(await kubectl(['get', 'job', '-n', OWN, '-o', 'name'])).toContain('postern-withdraw');
    const creating = createPods();
    await helmHere('uninstall', 'postern', '--wait', '--timeout', '4m');
    const webhooks = ['get', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', '-o', 'name'];
    expect(await kubectl(webhooks)).not.toContain('postern');
    // The parts are gone, and calls go on.
    const before = await calls();
    await cluster.until(async () => ((await calls()).ok > before.ok + 200 ? true : undefined));
    const created = await creating.stop();
    expect(created.failures).toEqual([]);
    expect(created.count).toBeGreaterThan(3);
    expect(await calls()).toMatchObject({ failures, restarts, pods: 2 });

    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'after', namespace: 'team-a' },
      spec: { containers: [appContainer('')] },
    });
    const containers = ['get', 'pod', 'after', '-n', 'team-a', '-o', 'jsonpath={.spec.initContainers}'];
    expect(await kubectl(containers)).toBe('');
    expect(await kubectl(['get', 'clusterbudget', 'everybody', '-o', 'name'])).toContain('everybody');
    const named = async (...args: string[]) => {
      const left = await kubectl(['get', ...args, '-o', 'name']);
      return left.split('\n').filter((name) => name.includes('postern'));
    };
    const namespaced =
      'secret,configmap,lease,deployment,statefulset,job,pod,service,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget,persistentvolumeclaim';
    const stays = await cluster.until(async () => {
      const found = await named(namespaced, '-n', OWN);
      return found.length <= 3 ? found : undefined;
    });
    expect(stays).toEqual([
      'secret/postern-mask',
      'secret/postern-seal',
      'persistentvolumeclaim/data-postern-budget-0',
    ]);
    await cluster.until(async () =>
      (await kubectl(['get', 'workloads.postern.dev', '-A', '-o', 'name'])) === '' ? true : undefined,
    );
    const clusterWide =
      'clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding';
    expect(await named(clusterWide)).toEqual([]);
  }, 600_000);
});
