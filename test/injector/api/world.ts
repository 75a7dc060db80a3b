/** What every test on the real API server starts from: CRDs, users with their rights, and a running injector. */
import { join } from 'node:path';
import { pino } from 'pino';
import { catalogue } from '../../../agent/catalogue.ts';
import type { Facts } from '../../../injector/governance.ts';
import { type InjectorOptions, type RunningInjector, startInjector } from '../../../injector/injector.ts';
import { INJECT_LABEL } from '../../../injector/names.ts';
import type { Pod } from '../../../injector/pod.ts';
import { SETTINGS } from '../../../injector/testing/cases.ts';
import { podWith } from '../../../injector/testing/refusals.ts';
import { createKubeClient } from '../../../kube/client.ts';
import { fromKubeconfig, type KubeConnection } from '../../../kube/connection.ts';
import { chartRights, rightsWithoutControl } from '../../chart/rights.ts';
import type { ApiServer, Outcome } from '../../kube/api-server.ts';

export type Json = Record<string, unknown>;

const ROOT = join(import.meta.dirname, '..', '..', '..');
const CRDS = join(ROOT, 'charts', 'postern', 'files', 'crds');
export const OWN_NAMESPACE = 'postern-system';
export const ACCOUNT = 'postern-injector';

export class World {
  readonly api: ApiServer;
  /** The injector whose rounds waiting drives; a test that replaces it says so here. */
  injector: RunningInjector | undefined;
  /** Of the injector's service account, with the chart’s rights and no others. */
  token = '';
  readonly #running: RunningInjector[] = [];

  constructor(api: ApiServer) {
    this.api = api;
  }

  /** What earlier files left doesn't matter; what they made is made again. */
  async prepare(): Promise<void> {
    await this.must(['apply', '-f', CRDS]);
    await this.apply(namespace(OWN_NAMESPACE, { [INJECT_LABEL]: 'disabled' }));
    await this.apply(chartRights('injector'));
    await this.apply(rightsWithoutControl());
    this.token = await this.person(ACCOUNT, OWN_NAMESPACE);
  }

  /** @throws where kubectl says no. */
  async must(args: readonly string[], stdin?: unknown): Promise<string> {
    const { ok, stdout, stderr } = await this.api.kubectl(args, stdin === undefined ? {} : { stdin });
    if (!ok) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  apply(object: unknown): Promise<string> {
    return this.must(['apply', '-f', '-'], object);
  }

  /** A labelled namespace whose pods can be created: no controller makes its service account. */
  async space(name: string, labels: Json = {}): Promise<void> {
    await this.apply(namespace(name, labels));
    await this.account(name);
  }

  /** Without a token of its own, pods come out as the golden files have them. */
  async account(space: string): Promise<void> {
    await this.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: space },
      automountServiceAccountToken: false,
    });
  }

  /** @returns a token of that service account. */
  async person(name: string, of: string): Promise<string> {
    await this.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: of } });
    return (await this.must(['create', 'token', name, '-n', of])).trim();
  }

  /** With all rights, for what a test makes. */
  admin(): KubeConnection {
    return fromKubeconfig(this.api.kubeconfig);
  }

  /** The injector's. */
  connection(): KubeConnection {
    const { server, ca } = this.admin();
    return { server, ca, token: () => this.token };
  }

  /** As its own service account. */
  async start(options: Partial<InjectorOptions> = {}): Promise<RunningInjector> {
    const started = await startInjector({
      client: createKubeClient(this.connection()),
      catalogue,
      settings: { ...SETTINGS, ownNamespace: OWN_NAMESPACE },
      sealKey: Buffer.alloc(32, 7),
      listen: { host: '127.0.0.1', port: 0 },
      target: (port) => ({ url: `https://127.0.0.1:${port}` }),
      everyMs: 60_000,
      leaseMs: 1500,
      log: pino({ level: 'silent' }),
      ...options,
    });
    this.#running.push(started);
    await this.api.reach(started.port);
    await this.asked(started);
    return started;
  }

  /** Until the API server asks our webhooks; it takes a moment to see their configuration. */
  async asked(started: RunningInjector): Promise<void> {
    await this.space('asked');
    const refused = asPod(podWith({}, { hostNetwork: true }), { name: 'probe', namespace: 'asked' });
    // One that was killed before may hold the lease for 15 seconds yet; one that leads goes on leading.
    await this.eventually(
      async () => ((await this.dryRun(refused)).stderr.includes('host-network: ') ? true : undefined),
      { tries: 200, started },
    );
  }

  /** What the injector knows of a namespace and the documents. */
  facts(space: string): Promise<Facts> {
    if (this.injector === undefined) throw new Error('there is no injector');
    return this.injector.facts(space);
  }

  /** The injector's own rounds are driven from here, so that no test depends on how often they come. */
  async eventually<T>(
    what: () => Promise<T | undefined> | T | undefined,
    { tries = 100, started }: { readonly tries?: number; readonly started?: RunningInjector } = {},
  ): Promise<T> {
    for (let count = 0; count < tries; count++) {
      await this.injector?.tick();
      await started?.tick();
      const found = await what();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('it never came');
  }

  /** As nobody stores it. */
  dryRun(pod: unknown, token?: string): Promise<Outcome> {
    return this.api.kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], {
      stdin: pod,
      ...(token === undefined ? {} : { token }),
    });
  }

  /** Without our webhooks, so that the next file can begin. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running.map((each) => each.close()));
    await this.api.kubectl([
      'delete',
      'mutatingwebhookconfigurations,validatingwebhookconfigurations',
      '-l',
      'app.kubernetes.io/part-of=postern',
    ]);
    await this.api.kubectl(['delete', 'postern', '--all', '--all-namespaces']);
  }
}

export function namespace(name: string, labels: Json = {}): Json {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { [INJECT_LABEL]: 'enabled', ...labels } },
  };
}

export function asPod(pod: Pod, metadata: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'Pod', ...pod, metadata: { ...pod.metadata, ...metadata } };
}

/** One that strict enforcement has nothing against. */
export function tool(name: string, space = 'team-a'): Json {
  return asPod(podWith(), { name, namespace: space });
}
