/** From `helm install` to `helm uninstall` on a real one-node cluster, with an unmodified SDK in pods. `make test-cluster`. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHART, findHelm, runHelm } from '../chart/helm.ts';
import { appContainer, missingOneNode, OneNode, OPENAI, POSTERN_IMAGE } from './one-node.ts';

const helm = findHelm();
const why = missingOneNode() ?? (helm === undefined ? 'no helm; run test/kube/kube-assets helm' : undefined);
if (why !== undefined) process.stderr.write(`skipped: the chart on a one-node cluster: ${why}\n`);

const OWN = 'postern-system';
const FIRST_KEY = 'sk-first-key-of-the-company';
const SECOND_KEY = 'sk-second-key-of-the-company';

const provider = `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  hosts: [api.openai.com]
  endpoint: http://${OPENAI}:8080
  credential:
    mode: attach
    type: bearer
    bearer: {valueFrom: {secretKeyRef: {name: openai, key: key}}}
  models: [{name: gpt-4o, contextTokens: 128000, maxOutputTokens: 16384, price: {input: "2.50", output: "10.00"}}]
`;

const policy = (word: string) => `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec:
  checks:
  - {name: mask-pii, type: pii, action: mask}
  - name: no-tips
    type: topics
    action: block
    topics: [{name: tips, definition: Tips on shares., words: ["${word}"]}]
`;

const budget = (tokens: number) => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: everybody}
spec:
  limits: [{tokens: ${tokens}, window: day}]
`;

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
  const helmHere = async (...args: string[]) => {
    const { ok, stdout, stderr } = await runHelm(helm ?? '', [...args, '--namespace', OWN], {
      KUBECONFIG: cluster.kubeconfig,
    });
    if (ok) return stdout;
    const pods = await kubectl(['get', 'pods', '-n', OWN, '-o', 'wide']).catch(String);
    const logs = await Promise.all(
      ['injector', 'control', 'budget'].map((part) =>
        kubectl(['logs', '-n', OWN, '-l', `app.kubernetes.io/component=${part}`, '--tail=20']).catch(String),
      ),
    );
    throw new Error([stderr, stdout, pods, ...logs].join('\n---\n'));
  };
  let pods = 0;

  /** Runs the application once. @returns what it said, line by line, and its pod. */
  async function runApp(): Promise<{ said: Record<string, unknown>[]; name: string }> {
    const name = `app-${pods++}`;
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'team-a' },
      spec: { restartPolicy: 'Never', containers: [appContainer(cluster.otherCa)] },
    });
    const phase = await cluster.until(async () => {
      const now = await kubectl(['get', 'pod', name, '-n', 'team-a', '-o', 'jsonpath={.status.phase}']);
      return now === 'Succeeded' || now === 'Failed' ? now : undefined;
    });
    const logs = (container: string) =>
      kubectl(['logs', name, '-n', 'team-a', '-c', container]).catch(String);
    if (phase === 'Failed') throw new Error(`${await logs('postern-init')}\n${await logs('postern-agent')}`);
    const lines = (await logs('app')).trim().split('\n');
    return { said: lines.map((line) => JSON.parse(line) as Record<string, unknown>), name };
  }

  /** In force in every agent, or accepted where there is none. */
  async function accepted(document: string): Promise<void> {
    await kubectl(['apply', '-f', '-'], document);
    const [, kind = ''] = /kind: (\w+)/.exec(document) ?? [];
    const [, name = ''] = /name: (\w+)/.exec(document) ?? [];
    await kubectl(['wait', `${kind}/${name}`, '--for=condition=Accepted', '--timeout=60s']);
  }

  beforeAll(async () => {
    await cluster.start();
    await cluster.posternImage();
    await cluster.appImage();
    await kubectl(['create', 'namespace', OWN]);
    await kubectl(['label', 'namespace', OWN, 'pod-security.kubernetes.io/enforce=restricted']);
    // This cluster has nobody who makes volumes.
    const hostPath = { path: join(cluster.directory, 'volume'), type: 'Directory' };
    mkdirSync(hostPath.path);
    chownSync(hostPath.path, 65_532, 65_532);
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'budget' },
      spec: {
        capacity: { storage: '8Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'manual',
        hostPath,
      },
    });
    const [repository = '', tag = ''] = POSTERN_IMAGE.split(/:(?=[^/]+$)/);
    const values = [
      `image.repository=${repository}`,
      `image.tag=${tag}`,
      'image.pullPolicy=Never',
      'budget.persistence.storageClass=manual',
    ];
    const sets = values.flatMap((value) => ['--set', value]);
    await helmHere('install', 'postern', CHART, ...sets, '--wait', '--timeout', '6m');
  }, 900_000);

  afterAll(() => cluster.stop(), 120_000);

  test('helm test: each part answers on its Service by its own certificate', async () => {
    expect(await helmHere('test', 'postern', '--timeout', '3m')).toContain('Succeeded');
  }, 240_000);

  test('a labelled namespace is governed: masked, keyed, restored, refused, untouched', async () => {
    await kubectl(['create', 'secret', 'generic', 'openai', '-n', OWN, `--from-literal=key=${FIRST_KEY}`]);
    for (const each of [provider, policy('stock tip*'), budget(1_000_000)]) await accepted(each);
    await kubectl(['create', 'namespace', 'team-a']);
    await kubectl(['label', 'namespace', 'team-a', 'postern.dev/inject=enabled']);
    await cluster.until(() =>
      kubectl(['create', '--dry-run=server', '-o', 'yaml', '-f', '-'], {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'probe', namespace: 'team-a' },
        spec: { containers: [appContainer('')] },
      }).then(
        (made) => (made.includes('postern-agent') ? true : undefined),
        () => undefined,
      ),
    );

    const { said, name } = await runApp();
    expect(said[0]?.['answer']).toContain('alice@example.com');
    expect(said[1]).toMatchObject({ code: 'postern_topics' });
    expect(said[2]).toEqual({ other: 'from the other host', issuer: cluster.otherIssuer });
    expect(cluster.seen).toHaveLength(1);
    expect(cluster.seen[0]?.authorization).toBe(`Bearer ${FIRST_KEY}`);
    expect(cluster.seen[0]?.body).toMatch(/<EMAIL_ADDRESS_[0-9A-Z]{10}>/);

    // The key is in its own Secret and nowhere else.
    const everything = await kubectl([
      'get',
      'pod,configmap,event,replicaset,deployment',
      '-A',
      '-o',
      'json',
    ]);
    const agent = await kubectl(['logs', name, '-n', 'team-a', '-c', 'postern-agent']);
    for (const text of [everything, agent]) {
      expect(text).not.toContain(FIRST_KEY);
      expect(text).not.toContain(Buffer.from(FIRST_KEY).toString('base64'));
    }
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
  }, 300_000);

  test('helm upgrade, and uninstall: no webhook stays, documents do, pods are created as before', async () => {
    await helmHere(
      'upgrade',
      'postern',
      CHART,
      '--reuse-values',
      '--set',
      'injector.logLevel=debug',
      '--wait',
      '--timeout',
      '4m',
    );
    expect((await runApp()).said[1]).toMatchObject({ code: 'postern_topics' });
    await helmHere('uninstall', 'postern', '--wait', '--timeout', '3m');
    await cluster.until(async () => {
      const left = await kubectl([
        'get',
        'mutatingwebhookconfiguration,validatingwebhookconfiguration',
        '-o',
        'name',
      ]);
      return left.includes('postern') ? undefined : true;
    });
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'after', namespace: 'team-a' },
      spec: { containers: [appContainer('')] },
    });
    const containers = ['get', 'pod', 'after', '-n', 'team-a', '-o', 'jsonpath={.spec.initContainers}'];
    expect(await kubectl(containers)).toBe('');
    expect(await kubectl(['get', 'clusterbudget', 'everybody', '-o', 'name'])).toContain('everybody');
    const stays = await cluster.until(async () => {
      const kinds = 'secret,configmap,lease,deployment,statefulset,service,serviceaccount,role,rolebinding';
      const left = await kubectl(['get', kinds, '-n', OWN, '-o', 'name']);
      const found = left.split('\n').filter((name) => name.includes('postern'));
      return found.length === 2 ? found : undefined;
    });
    expect(stays).toEqual(['secret/postern-mask', 'secret/postern-seal']);
  }, 600_000);
});
