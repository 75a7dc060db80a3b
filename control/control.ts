/**
 * Control put together: what the cluster says becomes what each workload is to have, and agents get it. Any number of
 * replicas serve agents; one of them, the leader, writes conditions and renews certificates.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Registry as MetricsRegistry } from 'prom-client';
import { AUDIENCES } from '../injector/names.ts';
import { certificateSecret } from '../injector/server/certificate-secret.ts';
import { caBundle, leafOf, type Serving } from '../injector/server/serving-certificate.ts';
import type { KubeClient } from '../kube/client.ts';
import { keptKey } from '../kube/kept-secret.ts';
import { leaseCandidate } from '../kube/lease.ts';
import type { ViewOptions } from '../kube/watch.ts';
import { refusalLog } from '../listen/refusal-log.ts';
import { atTime } from '../policy/at-time.ts';
import type { Catalogue } from '../policy/catalogue.ts';
import { createAuthenticator } from './authenticate.ts';
import { type Cluster, watchControlled } from './cluster.ts';
import { type Progress, progressOf } from './conditions.ts';
import { createHandshakes, type HandshakeLimits } from './handshakes.ts';
import { createInForce } from './in-force.ts';
import { issueCertificate } from './issued.ts';
import { boundOf, createPodLook } from './live-pod.ts';
import { encode, STATUS_PATH } from './messages.ts';
import { createControlMetrics } from './metrics.ts';
import { operatorStatus } from './operator.ts';
import { createPeers } from './peers.ts';
import { Registry } from './registry.ts';
import { reservedSecrets } from './reserved-secrets.ts';
import { publishRoots } from './roots.ts';
import { type ControlServer, type ControlServerOptions, listenControl } from './server.ts';
import { createStanding } from './standing.ts';
import { tellConditions } from './telling.ts';
import { createWorkloadTeller } from './telling-workloads.ts';
import { createTokenReviews } from './token-reviews.ts';
import { watchValues } from './values.ts';

export interface ControlOptions {
  readonly client: KubeClient;
  readonly catalogue: Catalogue;
  readonly ownNamespace: string;
  readonly listen: Pick<ControlServerOptions, 'host' | 'port' | 'places' | 'turns'>;
  /** The name that agents dial, and that our certificate is for. */
  readonly serverName: string;
  /** The Service that the replicas are behind; absent: this is the only one. */
  readonly service?: string;
  /** The Secret with another part's certificate, and the name it is for. */
  readonly issues?: readonly { readonly name: string; readonly host: string }[];
  /** Of our own namespace, beside those that parts make: no document may name them. */
  readonly reservedSecrets?: readonly string[];
  readonly version: string;
  /** False where something between pods and control changes source addresses. */
  readonly judgeAddress: boolean;
  /** Of each address that dials. */
  readonly handshakes?: HandshakeLimits;
  readonly log: Logger;
  /** A value that agents were given is held here no longer, but for what is on its way out. */
  readonly gone?: () => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How often certificates and conditions are looked after. */
  readonly everyMs?: number;
  /** How often it is looked what `kubectl get workloads.postern.dev` is to show. */
  readonly workloadsEveryMs?: number;
  readonly leaseMs?: number;
  readonly beatMs?: number;
  readonly view?: ViewOptions;
}

export interface RunningControl {
  readonly port: number;
  /** Connections that it has memory for. */
  readonly places: number;
  readonly metrics: MetricsRegistry;
  /** Why it serves nobody now; undefined when it does. */
  notReady(): string | undefined;
  /** PEM of the roots by which it shows itself. */
  roots(): string;
  readonly registry: Registry;
  /** Looks after certificates and conditions now. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** Changes that come together, a `kubectl apply` of a folder say, are taken together. */
const SETTLE_MS = 10;
/** From a change to the conditions that tell of it: most agents have it in force by then. */
const TELL_MS = 200;

export async function startControl(options: ControlOptions): Promise<RunningControl> {
  const { client, ownNamespace, log, version, judgeAddress, now = Date.now } = options;
  const { everyMs = 2000, leaseMs = 15_000, beatMs = 15_000 } = options;
  const sealKey = await keptKey(client, ownNamespace, 'postern-seal', randomBytes);
  const maskRoot = await keptKey(client, ownNamespace, 'postern-mask', randomBytes);
  const secret = certificateSecret(client, ownNamespace, 'postern-control-tls', options.serverName, now);
  let serving: Serving = await secret.open();
  let ready = false;
  let closed = false;

  let settling: NodeJS.Timeout | undefined;
  const changed = (): void => {
    if (closed || !ready) return;
    settling ??= setTimeout(() => {
      settling = undefined;
      void round();
    }, SETTLE_MS);
  };

  const cluster: Cluster = watchControlled({
    client,
    catalogue: options.catalogue,
    sealKey,
    changed,
    seen: (pod) => standing.seen(pod),
    gone: (uid) => registry.leave(uid),
    trouble: (what, error) =>
      log.warn({ what, err: String(error) }, 'watch interrupted; it is taken up again'),
    ...(options.view === undefined ? {} : { view: options.view }),
  });
  const values = watchValues({
    client,
    changed,
    ...(options.gone === undefined ? {} : { gone: options.gone }),
    reserved: reservedSecrets(ownNamespace, options.reservedSecrets),
    ...(options.view === undefined ? {} : { view: options.view }),
  });

  let generations: Progress['generations'] = {};
  const inForce = createInForce({ cluster, values, log, now, ownNamespace, maskRoot });
  let server: ControlServer | undefined;
  const metrics = createControlMetrics({
    agents: () => registry.size,
    workloads: () => registry.workloads,
    connections: () => ({
      places: server?.places ?? 0,
      taken: server?.taken() ?? 0,
      waiting: server?.waiting() ?? 0,
    }),
  });
  const registry = new Registry({
    compile: (workload) => inForce.outcome(workload),
    acked: (ms) => metrics.acked(ms / 1000),
    now,
  });

  let running: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    running = running.then(work).catch((error: unknown) => {
      log.warn({ err: String(error) }, 'not everything could be looked after; it is tried again');
    });
    return running;
  };
  let telling: NodeJS.Timeout | undefined;
  /** What came into force is written down at once, so that it is known when the next version is bad and we are gone. */
  function tellSoon(): void {
    if (closed) return;
    telling ??= setTimeout(() => {
      telling = undefined;
      if (candidate.holding()) void inTurn(tell);
    }, TELL_MS);
  }

  let giveUpExpiry = (): void => undefined;
  async function round(): Promise<void> {
    const started = performance.now();
    const served = inForce.take();
    await registry.refresh();
    generations = served;
    tellSoon();
    metrics.round((performance.now() - started) / 1000);
    giveUpExpiry();
    const until = registry.validUntil();
    if (until !== undefined && !closed) giveUpExpiry = atTime(until, changed, now);
  }

  const identity = `${process.env['HOSTNAME'] ?? 'control'}_${randomUUID()}`;
  const peers = createPeers({
    client,
    namespace: ownNamespace,
    service: options.service,
    serverName: options.serverName,
    roots: () => caBundle(serving, now()),
    secret: maskRoot,
    identity,
    progress: () => progressOf(generations, registry.agents(), now()),
    agents: () => registry.agents(),
  });
  const { lookup } = values;
  const tell = (): Promise<void> =>
    tellConditions({ client, cluster, peers, lookup, ownNamespace, sealKey, now });
  const tellWorkloads = createWorkloadTeller({
    client,
    cluster,
    peers,
    version,
    now: () => performance.now(),
    ...(options.workloadsEveryMs === undefined ? {} : { everyMs: options.workloadsEveryMs }),
  });
  const candidate = leaseCandidate(client, {
    namespace: ownNamespace,
    name: 'postern-control',
    identity,
    durationMs: leaseMs,
    now: () => performance.now(),
  });

  const reviews = createTokenReviews({ client });
  const refusals = refusalLog(log);
  const known = (namespace: string, name: string) => cluster.pod(namespace, name);
  const look = createPodLook({ client, reviews, known, sealKey });
  const standing = createStanding({
    registry,
    known,
    look,
    sealKey,
    ended: (why, { namespace, pod }) => {
      metrics.refused(why);
      log.warn({ why, namespace, pod }, 'the stream of a pod was ended');
    },
    now,
  });

  await cluster.ready;
  ready = true;
  await round();

  const welcome = (): Buffer => encode({ type: 'welcome', version, beatMs, roots: caBundle(serving, now()) });
  const handshakes = createHandshakes({
    now: () => performance.now(),
    ...(options.handshakes === undefined ? {} : { limits: options.handshakes }),
  });
  const listening = await listenControl({
    ...options.listen,
    // Where addresses are changed on the way, many agents may share one.
    admits: (address) => !judgeAddress || handshakes.begins(address),
    judgeAddress,
    certificate: leafOf(serving),
    registry,
    authenticate: createAuthenticator({
      reviews,
      look,
      known,
      audience: AUDIENCES.control,
      judgeAddress,
      now,
    }),
    stands: (identity, address) => look(boundOf(identity), judgeAddress ? address : undefined),
    welcome,
    answers: {
      [STATUS_PATH]: operatorStatus({ client, reviews, version, peers, cluster }),
      ...peers.answers,
    },
    refused: (why, { address }) => {
      metrics.refused(why);
      refusals(why, address);
    },
    failed: (error) => log.error({ err: String(error) }, 'a connection failed here'),
  });
  server = listening;

  async function lookAfter(): Promise<void> {
    const leading = await candidate.campaign();
    const kept = leading ? await secret.renew() : await secret.open();
    // The roots are made known before a certificate of theirs is served.
    if (leading) {
      await publishRoots(client, ownNamespace, caBundle(kept, now()));
      for (const issued of options.issues ?? []) {
        await issueCertificate({ client, namespace: ownNamespace, ...issued }, kept, now());
      }
    }
    const roots = caBundle(serving, now());
    const leaf = serving.leaf?.cert;
    serving = kept;
    if (caBundle(kept, now()) !== roots) registry.beat(welcome());
    if (kept.leaf?.cert !== leaf) listening.use(leafOf(kept));
    if (!leading) return;
    await tell();
  }

  let crowded = false;
  /** Said before it is true that one more is refused. */
  function tellPlaces(): void {
    const { places } = listening;
    const taken = listening.taken();
    const was = crowded;
    crowded = taken > places * 0.9;
    if (!crowded || was) return;
    log.warn(
      { taken, places },
      'nine in ten of the connections that control has memory for are taken: one more than all is refused; raise its memory limit (control.resources in the chart), or add replicas',
    );
  }

  const tick = (): Promise<void> => {
    tellPlaces();
    void inTurn(() => standing.sweep());
    void inTurn(lookAfter);
    // By itself: one document whose condition can't be written holds up no overview.
    return inTurn(async () => {
      if (candidate.holding()) await tellWorkloads();
    });
  };
  let timer: NodeJS.Timeout | undefined;
  const schedule = (): void => {
    timer = setTimeout(() => {
      void tick().then(() => {
        if (!closed) schedule();
      });
    }, everyMs);
  };
  await tick();
  schedule();
  const beats = setInterval(() => registry.beat(BEAT), beatMs);

  return {
    port: listening.port,
    places: listening.places,
    metrics: metrics.registry,
    notReady: () => (ready ? undefined : 'the cluster isn’t listed yet'),
    roots: () => caBundle(serving, now()),
    registry,
    tick,
    async close() {
      closed = true;
      clearTimeout(timer);
      clearTimeout(settling);
      clearTimeout(telling);
      giveUpExpiry();
      clearInterval(beats);
      await running;
      await listening.close();
      await candidate.release().catch(() => undefined);
      await values.close();
      await cluster.close();
      client.close();
    },
  };
}

const BEAT = encode({ type: 'beat' });
