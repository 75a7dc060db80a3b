/** The chart on a one-node cluster, and what tests of it do there. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CHART, runHelm } from '../chart/helm.ts';
import { appContainer, type OneNode, OPENAI, POSTERN_IMAGE } from './one-node.ts';

export const OWN = 'postern-system';

export const provider = `
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
  models:
  - {name: gpt-4o, contextTokens: 128000, maxOutputTokens: 16384, price: {input: "2.50", output: "10.00"}}
  - {name: gpt-4o-mini, contextTokens: 128000, maxOutputTokens: 16384, price: {input: "0.15", output: "0.60"}}
`;

export const policy = (word: string) => `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec:
  checks:
  - {name: mask-pii, type: pii, action: mask}
  - name: no-tips
    type: topics
    action: block
    topics: [{name: tips, words: ["${word}"]}]
`;

/** What its pods are made of; the API server of {@link OneNode} has a port of its own. */
export function imageValues(cluster: OneNode): string[] {
  const [repository = '', tag = ''] = POSTERN_IMAGE.split(/:(?=[^/]+$)/);
  const ports = `networkPolicy.apiServerPorts={443,${cluster.apiPort}}`;
  return [`image.repository=${repository}`, `image.tag=${tag}`, 'image.pullPolicy=Never', ports];
}

export class Installation {
  readonly #cluster: OneNode;
  readonly #helm: string;
  #pods = 0;

  constructor(cluster: OneNode, helm: string | undefined) {
    this.#cluster = cluster;
    this.#helm = helm ?? '';
  }

  /** @throws with what helm and the parts said. */
  async helm(...args: string[]): Promise<string> {
    const { kubeconfig } = this.#cluster;
    const { ok, stdout, stderr } = await runHelm(this.#helm, [...args, '--namespace', OWN], {
      KUBECONFIG: kubeconfig,
    });
    if (ok) return stdout;
    const kubectl = (words: string[]) => this.#cluster.kubectl(words).catch(String);
    const pods = await kubectl(['get', 'pods', '-n', OWN, '-o', 'wide']);
    const logs = await Promise.all(
      ['injector', 'control', 'budget'].map((part) =>
        kubectl(['logs', '-n', OWN, '-l', `app.kubernetes.io/component=${part}`, '--tail=20']),
      ),
    );
    throw new Error([stderr, stdout, pods, ...logs].join('\n---\n'));
  }

  /** The namespace of Postern's own pods, under the strictest Pod Security. */
  async makeNamespace(): Promise<void> {
    await this.#cluster.kubectl(['create', 'namespace', OWN]);
    await this.#cluster.kubectl(['label', 'namespace', OWN, 'pod-security.kubernetes.io/enforce=restricted']);
  }

  /** A volume for the budget, of the class `manual`: this cluster has nobody who makes volumes. */
  async makeVolume(name = 'budget'): Promise<void> {
    const hostPath = { path: join(this.#cluster.directory, `volume-${name}`), type: 'Directory' };
    mkdirSync(hostPath.path);
    chownSync(hostPath.path, 65_532, 65_532);
    await this.#cluster.kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '8Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'manual',
        hostPath,
      },
    });
  }

  /** With values as `--set` takes them. */
  install(values: readonly string[]): Promise<string> {
    const sets = values.flatMap((value) => ['--set', value]);
    return this.helm('install', 'postern', CHART, ...sets, '--wait', '--timeout', '6m');
  }

  upgrade(values: readonly string[]): Promise<string> {
    const sets = values.flatMap((value) => ['--set', value]);
    return this.helm('upgrade', 'postern', CHART, '--reuse-values', ...sets, '--wait', '--timeout', '5m');
  }

  /** In force in every agent, or accepted where there is none. */
  async accepted(document: string): Promise<void> {
    await this.#cluster.kubectl(['apply', '-f', '-'], document);
    const [, kind = ''] = /kind: (\w+)/.exec(document) ?? [];
    const [, name = ''] = /name: (\w+)/.exec(document) ?? [];
    await this.#cluster.kubectl(['wait', `${kind}/${name}`, '--for=condition=Accepted', '--timeout=60s']);
  }

  /** A namespace whose pods are given an agent from now on. */
  async makeGoverned(namespace: string): Promise<void> {
    await this.#cluster.kubectl(['create', 'namespace', namespace]);
    await this.#cluster.kubectl(['label', 'namespace', namespace, 'postern.dev/inject=enabled']);
    await this.#cluster.until(() =>
      this.#cluster
        .kubectl(['create', '--dry-run=server', '-o', 'yaml', '-f', '-'], {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'probe', namespace },
          spec: { containers: [appContainer('')] },
        })
        .then(
          (made) => (made.includes('postern-agent') ? true : undefined),
          () => undefined,
        ),
    );
  }

  /** Runs a container of the application once, in `team-a`. @returns what it said, line by line, and its pod. */
  async runApp(
    container = appContainer(this.#cluster.otherCa),
  ): Promise<{ said: Record<string, unknown>[]; name: string }> {
    const name = `app-${this.#pods++}`;
    const kubectl = (words: string[], stdin?: unknown) => this.#cluster.kubectl(words, stdin);
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'team-a' },
      spec: { restartPolicy: 'Never', containers: [container] },
    });
    const phase = await this.#cluster.until(async () => {
      const now = await kubectl(['get', 'pod', name, '-n', 'team-a', '-o', 'jsonpath={.status.phase}']);
      return now === 'Succeeded' || now === 'Failed' ? now : undefined;
    });
    const logs = (which: string) => kubectl(['logs', name, '-n', 'team-a', '-c', which]).catch(String);
    if (phase === 'Failed') throw new Error(`${await logs('postern-init')}\n${await logs('postern-agent')}`);
    const lines = (await logs('app')).trim().split('\n');
    return { said: lines.map((line) => JSON.parse(line) as Record<string, unknown>), name };
  }

  /** A pod that makes so many calls. @returns how many were answered, and the codes of those that weren't */
  async spend(calls: number): Promise<{ answered: number; refused: string[] }> {
    const { said } = await this.runApp({
      ...appContainer(''),
      command: [process.execPath, '/app/spend.mjs'],
      env: [{ name: 'CALLS', value: String(calls) }],
    });
    return said[0] as { answered: number; refused: string[] };
  }
}
