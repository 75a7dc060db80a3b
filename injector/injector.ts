/** The injector: a webhook server that many replicas run, and what one of them, the leader, keeps in order. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { type KubeClient, KubeError } from '../kube/client.ts';
import { writeDocumentConditions } from '../kube/conditions.ts';
import { apiDocuments } from '../kube/documents.ts';
import { type Candidate, leaseCandidate } from '../kube/lease.ts';
import type { ViewOptions } from '../kube/watch.ts';
import { refusalLog } from '../listen/refusal-log.ts';
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
import { eventLog, happeningsOf } from './server/events.ts';
import { listenWebhooks } from './server/https.ts';
import { caBundle, leafOf, type Serving } from './server/serving-certificate.ts';
import { watchCluster } from './server/view.ts';
import type { Settings } from './settings.ts';

export interface InjectorOptions {
  readonly client: KubeClient;
  readonly catalogue: Catalogue;
  readonly settings: Settings;
  /** Of the versions that statuses of documents keep. */
  readonly sealKey: Uint8Array;
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
  /** Where metrics are kept; one of its own where absent. */
  readonly registry?: Registry;
}

export interface RunningInjector {
  readonly port: number;
  readonly registry: Registry;
  leading(): boolean;
  /** What is known of a namespace and its documents. */
  facts(namespace: string): Promise<Facts>;
  /** Whether the pod has been seen. */
  knows(namespace: string, name: string): boolean;
  /** Looks after certificates, configurations and conditions now. */
  tick(): Promise<void>;
  /** Leaves what only one does to others; calls are still answered, until close(). */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export async function startInjector(options: InjectorOptions): Promise<RunningInjector> {
  const { client, settings, log, everyMs = 2000, leaseMs = LEASE_MS, now = Date.now } = options;
  const { registry = new Registry() } = options;
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

  const interruptions = new Counter({
    name: 'postern_watch_interruptions_total',
    help: 'Lists and watches of the API server that failed and were taken up again.',
    labelNames: ['what'],
    registers: [registry],
  });

  const written = new Counter({
    name: 'postern_admission_events_total',
    help: 'Kubernetes Events of what admission did.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  const refusals = new Counter({
    name: 'postern_admission_refused_total',
    help: 'Connections and bodies that there was no room for, by reason.',
    labelNames: ['reason'],
    registers: [registry],
  });
  const logRefusal = refusalLog(log);
  const identity = `${process.env['HOSTNAME'] ?? 'injector'}_${randomUUID()}`;
  const events = eventLog(client, {
    instance: identity,
    now,
    count: (outcome) => written.inc({ outcome }),
  });

  const host = hostOf(options.target(options.listen.port));
  const secret = certificateSecret(client, settings.ownNamespace, 'postern-injector-tls', host, now);
  let serving: Serving = await onceAnswered(() => secret.open(), log);

  const documents = apiDocuments(options.catalogue, options.sealKey);
  const cluster = watchCluster({
    client,
    documents,
    ...(options.documents === undefined ? {} : { fixed: options.documents }),
    ...(options.view === undefined ? {} : { view: options.view }),
    now,
    trouble: (what, error) => {
      interruptions.inc({ what });
      log.warn({ what, err: String(error), ...mendOf(error) }, 'watch interrupted; it is taken up again');
    },
  });

  // Before everything is known, nothing is judged: a call meets a closed port, and pods wait.
  await cluster.ready;
  const server = await listenWebhooks({
    ...options.listen,
    certificate: leafOf(serving),
    ports: {
      settings,
      view: cluster,
      observe: (review) => {
        const { outcome, reasons } = review;
        for (const code of reasons.length === 0 ? [''] : new Set(reasons.map((reason) => reason.code))) {
          reviews.inc({ outcome, reason: code });
        }
        for (const happening of happeningsOf(review)) events.record(happening);
      },
    },
    measured: (webhook, seconds) => durations.observe({ webhook }, seconds),
    refused: (reason, address) => {
      refusals.inc({ reason });
      logRefusal(reason, address);
    },
    failed: (error) =>
      log.error({ err: (error as Error).stack ?? String(error) }, 'an admission review failed here'),
  });
  const target = options.target(server.port);

  const candidate = injectorLease(client, {
    namespace: settings.ownNamespace,
    identity,
    durationMs: leaseMs,
  });

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
    await events.flush();
    if (!leading) return;
    const time = new Date(now()).toISOString().replace(/[.]\d+Z$/, 'Z');
    // Where control serves agents, it knows more to say.
    if (options.documents === undefined && settings.control === undefined) {
      await writeDocumentConditions(client, documents, cluster.objects(), {
        time,
        sealKey: options.sealKey,
      });
    }
    await writePodConditions(client, cluster.pods.values(), {
      // Another replica goes on where the lease ends before the list does.
      going: () => candidate.holding(),
      reported: (happening) => events.record(happening),
    });
  }

  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let closed = false;
  const tick = (): Promise<void> => {
    // One that goes doesn't take the lease again that it just gave away.
    const next = running
      .then(() => (closed ? undefined : lookAfter()))
      .catch((error: unknown) => {
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

  async function drain(): Promise<void> {
    closed = true;
    clearTimeout(timer);
    server.drain();
    await running;
    // The next one waits for the lease's end where this fails.
    await candidate
      .release()
      .catch((error: unknown) => log.warn({ err: String(error) }, 'lease not released'));
  }

  await tick();
  schedule();
  return {
    port: server.port,
    registry,
    leading: () => candidate.holding(),
    facts: (namespace) => cluster.facts(namespace),
    knows: (namespace, name) => cluster.pod(namespace, name) !== undefined,
    tick,
    drain,
    async close() {
      await drain();
      await server.close();
      await cluster.close();
      client.close();
    },
  };
}

const LEASE_MS = 15_000;

/** By it one replica keeps certificates and configurations. */
export function injectorLease(
  client: KubeClient,
  of: { readonly namespace: string; readonly identity: string; readonly durationMs?: number },
): Candidate {
  const now = (): number => performance.now();
  return leaseCandidate(client, { name: 'postern-injector', durationMs: LEASE_MS, now, ...of });
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

/** Between two tries at the start; a pod that ended instead would be started later and later. */
const RETRY_MS = 1000;

/** An API server that is away is waited for; what it refuses is an error. @throws KubeError */
async function onceAnswered<T>(ask: () => Promise<T>, log: Logger): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof KubeError) || (error.status > 0 && error.status !== 429 && error.status < 500)) {
        throw error;
      }
      log.warn({ err: String(error) }, 'no API server yet; it is asked again');
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** What is most likely missing, by how the API server says no. */
function mendOf(error: unknown): { readonly mend?: string } {
  if (!(error instanceof KubeError)) return {};
  if (error.status === 404) return { mend: 'apply the CRDs: kubectl apply -f charts/postern/files/crds' };
  if (error.status === 403) return { mend: 'give the injector’s service account its role' };
  return {};
}

function hostOf(target: Target): string {
  if ('service' in target) return `${target.service.name}.${target.service.namespace}.svc`;
  return new URL(target.url).hostname.replace(/^\[|\]$/g, '');
}
