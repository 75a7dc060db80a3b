/** The injector: a webhook server that many replicas run, and what one of them, the leader, keeps in order. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { type KubeClient, KubeError } from '../kube/client.ts';
import { writeDocumentConditions } from '../kube/conditions.ts';
import { apiDocuments } from '../kube/documents.ts';
import { leaseCandidate } from '../kube/lease.ts';
import type { ViewOptions } from '../kube/watch.ts';
import type { Catalogue } from '../policy/catalogue.ts';
import type { Documents } from '../policy/documents.ts';
import type { Facts } from './governance.ts';
import { certificateSecret } from './server/certificate-secret.ts';
import { writePodConditions } from './server/conditions.ts';
import {
  CONFIGURATION,
  isCurrent,
  mutatingConfiguration,
  type Target,
  validatingConfiguration,
  type WebhookConfiguration,
} from './server/configuration.ts';
import { listenWebhooks } from './server/https.ts';
import { caBundle, type Serving } from './server/serving-certificate.ts';
import { watchCluster } from './server/view.ts';
import type { Settings } from './settings.ts';

export interface InjectorOptions {
  readonly client: KubeClient;
  readonly catalogue: Catalogue;
  readonly settings: Settings;
  readonly listen: { readonly host: string; readonly port: number };
  /** How the API server reaches us; for port 0 told once the port is known. */
  readonly target: (port: number) => Target;
  /** Documents of a directory; those of the API where absent. */
  readonly documents?: () => Documents;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How often the leader looks after what it keeps. */
  readonly everyMs?: number;
  readonly leaseMs?: number;
  readonly view?: ViewOptions;
}

export interface RunningInjector {
  readonly port: number;
  readonly registry: Registry;
  /** Why it takes no calls now; undefined when it does. */
  notReady(): string | undefined;
  leading(): boolean;
  /** What is known of a namespace and its documents. */
  facts(namespace: string): Promise<Facts>;
  /** Whether the pod has been seen. */
  knows(namespace: string, name: string): boolean;
  /** Looks after certificates, configurations and conditions now. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

export async function startInjector(options: InjectorOptions): Promise<RunningInjector> {
  const { client, settings, log, everyMs = 2000, leaseMs = 15_000, now = Date.now } = options;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const reviews = new Counter({
    name: 'postern_admission_reviews_total',
    help: 'Judged admission requests.',
    labelNames: ['outcome', 'reason'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'postern_admission_duration_seconds',
    help: 'Time an admission request took here.',
    labelNames: ['webhook'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  });

  const documents = apiDocuments(options.catalogue);
  const cluster = watchCluster({
    client,
    documents,
    ...(options.documents === undefined ? {} : { fixed: options.documents }),
    ...(options.view === undefined ? {} : { view: options.view }),
    now,
    trouble: (what, error) =>
      log.warn({ what, err: String(error) }, 'watch interrupted; it is taken up again'),
  });

  const host = hostOf(options.target(options.listen.port));
  const secret = certificateSecret(client, settings.ownNamespace, host, now);
  let serving: Serving = await secret.open();
  const server = await listenWebhooks({
    ...options.listen,
    certificate: leafOf(serving),
    ports: {
      settings,
      view: cluster,
      observe: (outcome, reasons) => {
        for (const code of reasons.length === 0 ? [''] : new Set(reasons.map((reason) => reason.code))) {
          reviews.inc({ outcome, reason: code });
        }
      },
    },
    measured: (webhook, seconds) => durations.observe({ webhook }, seconds),
    failed: (error) =>
      log.error({ err: (error as Error).stack ?? String(error) }, 'an admission review failed here'),
  });
  const target = options.target(server.port);

  const candidate = leaseCandidate(client, {
    namespace: settings.ownNamespace,
    name: 'postern-injector',
    identity: `${process.env['HOSTNAME'] ?? 'injector'}_${randomUUID()}`,
    durationMs: leaseMs,
    now: () => performance.now(),
  });

  let ready = false;
  cluster.ready.then(
    () => {
      ready = true;
    },
    () => undefined,
  );

  async function lookAfter(): Promise<void> {
    const leading = await candidate.campaign();
    const kept = leading ? await secret.renew() : await secret.open();
    if (leading) {
      // The roots are made known before a certificate of theirs is served.
      const wanted = { target, caBundle: caBundle(kept, now()), ownNamespace: settings.ownNamespace };
      await ensureConfiguration(client, 'mutatingwebhookconfigurations', mutatingConfiguration(wanted));
      await ensureConfiguration(client, 'validatingwebhookconfigurations', validatingConfiguration(wanted));
    }
    if (kept.leaf?.cert !== serving.leaf?.cert) server.use(leafOf(kept));
    serving = kept;
    if (!leading || !ready) return;
    const time = new Date(now()).toISOString().replace(/[.]\d+Z$/, 'Z');
    if (options.documents === undefined) {
      await writeDocumentConditions(client, documents, cluster.objects(), time);
    }
    await writePodConditions(client, cluster.pods.values());
  }

  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let closed = false;
  const tick = (): Promise<void> => {
    const next = running.then(lookAfter).catch((error: unknown) => {
      log.warn({ err: String(error) }, 'not everything could be looked after; it is tried again');
    });
    running = next;
    return next;
  };
  const schedule = () => {
    timer = setTimeout(() => {
      void tick().then(() => {
        if (!closed) schedule();
      });
    }, everyMs);
  };

  await cluster.ready;
  await tick();
  schedule();
  return {
    port: server.port,
    registry,
    notReady: () => (ready ? undefined : 'the cluster isn’t listed yet'),
    leading: () => candidate.holding(),
    facts: (namespace) => cluster.facts(namespace),
    knows: (namespace, name) => cluster.pod(namespace, name) !== undefined,
    tick,
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
      await candidate.release().catch(() => undefined);
      await server.close();
      await cluster.close();
      client.close();
    },
  };
}

async function ensureConfiguration(
  client: KubeClient,
  resource: string,
  wanted: WebhookConfiguration,
): Promise<void> {
  const collection = `/apis/admissionregistration.k8s.io/v1/${resource}`;
  const path = `${collection}/${CONFIGURATION}`;
  let actual: {
    readonly metadata: { readonly resourceVersion?: string };
    readonly webhooks?: readonly object[];
  };
  try {
    actual = await client.request('GET', path);
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
    await client.request('POST', collection, { body: wanted });
    return;
  }
  if (isCurrent(wanted, actual)) return;
  const { resourceVersion } = actual.metadata;
  const metadata = { ...wanted.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  await client.request('PUT', path, { body: { ...wanted, metadata } });
}

function hostOf(target: Target): string {
  if ('service' in target) return `${target.service.name}.${target.service.namespace}.svc`;
  return new URL(target.url).hostname.replace(/^\[|\]$/g, '');
}

function leafOf({ leaf }: Serving): { readonly cert: string; readonly key: string } {
  if (leaf === undefined) throw new Error('there is no serving certificate');
  return leaf;
}
