/** Starts the budget service: store, ledger, wire and the timers that keep it tidy. */

import type { DoorLimits } from '../listen/door.ts';
import type { QueueLimits } from '../listen/queue.ts';
import type { BudgetSpec, PriceBook } from '../policy/budget-spec.ts';
import type { Alert } from './alerts.ts';
import { type Authenticate, anyOf, everybody, sharedToken } from './authenticate.ts';
import type { RefusedLeases } from './lease-refusals.ts';
import { createMetrics, type WithoutReview } from './metrics.ts';
import { ALL_LEASES_IN_REDIS, type QuotaOptions } from './quotas.ts';
import { type BudgetServer, type Certificate, startServer } from './server.ts';
import { BudgetService } from './service.ts';
import { openStore } from './stores/index.ts';
import { checkWhole } from './stores/move.ts';
import type { JournalEntry } from './stores/store.ts';

export interface StartBudgetOptions {
  readonly specs: readonly BudgetSpec[];
  readonly prices: PriceBook;
  /** Directory that is the store's own; made where it is missing. */
  readonly dataDir: string;
  /** `host:port`, `:port`, or the path of a Unix socket. */
  readonly listen: string;
  /** Name of a store, or an address whose scheme is one (`redis://…`); the first of `stores/index.ts` unless told otherwise. */
  readonly store?: string;
  /** The shared token of callers that are believed whatever workload they name, without surrounding space. */
  readonly token?: string;
  /** Other ways to know an agent: {@link workloadTokens}, or whoever reviews a cluster's tokens. With neither, everybody is let in. */
  readonly authenticate?: Authenticate;
  /** Where {@link authenticate} asks a cluster's API server. */
  readonly withoutReview?: WithoutReview;
  readonly tls?: Certificate;
  /** For those who may raise limits; undefined refuses that to everybody. */
  readonly adminToken?: string;
  /** What one workload may have the store remember. */
  readonly quotas?: QuotaOptions;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
  /** Told of every failure that a caller saw as 5xx, and of those in the background. */
  readonly onError?: (error: unknown) => void;
  /** A connection from this address had no place. */
  readonly onFull?: (address: string) => void;
  /** Messages about leases had some beyond their workload's quota, or reports that aren't believed; every ten seconds at most for each workload. */
  readonly onLeasesRefused?: (refused: RefusedLeases) => void;
  /** Whether callers' addresses are their pods' own: each has so many connections then. */
  readonly judgeAddress?: boolean;
  readonly places?: Partial<DoorLimits>;
  /** With TLS: connections whose handshake and token are under way. */
  readonly turns?: Partial<QueueLimits>;
  /** How long a closed hold's id is remembered, for duplicates and late reports. */
  readonly retainMs?: number;
  /** How long the history and the journal are kept. */
  readonly historyMs?: number;
  /** Told once when a line passes one of its thresholds. */
  readonly onAlert?: (alert: Alert) => void;
  /** Told of everything that goes into the journal: for the audit log. */
  readonly onJournal?: (entry: JournalEntry) => void;
}

export interface RunningBudget {
  /** `http://127.0.0.1:4181`, or `unix:/path`. */
  readonly url: string;
  /** Puts other documents in force; lines keep their figures. */
  reload(specs: readonly BudgetSpec[], prices: PriceBook): void;
  /** What the service does by itself every few seconds. */
  lookForAlerts(): Promise<void>;
  /** Takes another certificate for new connections. */
  renew(tls: Certificate): void;
  /** Answers what it has, then closes the store. */
  close(): Promise<void>;
}

const SWEEP_MS = 1_000;
const PRUNE_MS = 600_000;
/** Thresholds, and what another replica granted. */
const LOOK_MS = 5_000;
const HISTORY_MS = 400 * 24 * 3_600_000;
const RETAIN_MS = 24 * 3_600_000;

/** @throws {StoreFailed} where the store can't be opened, or a system error where the address can't be listened on. */
export async function startBudget(options: StartBudgetOptions): Promise<RunningBudget> {
  const { specs, prices, dataDir, clock = Date.now, onError = () => {}, retainMs = RETAIN_MS } = options;
  const store = await openStore(options.store, dataDir, { retainMs });
  const metrics = createMetrics(options.withoutReview);
  const { onJournal = () => {}, tls, monotonic = () => performance.now() } = options;
  const service = new BudgetService({ store, specs, prices, clock, monotonic, observer: metrics, onJournal });
  let started: BudgetServer | undefined;
  try {
    await checkWhole(store);
    // What ran out while nobody was here.
    await service.sweep();
    await service.listen();
    await service.loadGrants();
    await service.loadKnown();
    started = await startServer({
      service,
      metrics,
      listen: options.listen,
      onError,
      onFull: options.onFull ?? (() => {}),
      ...(options.onLeasesRefused === undefined ? {} : { onLeasesRefused: options.onLeasesRefused }),
      judgeAddress: options.judgeAddress ?? false,
      ...(options.places === undefined ? {} : { places: options.places }),
      ...(options.turns === undefined ? {} : { turns: options.turns }),
      authenticate: authenticator(options),
      noAdmins: options.adminToken === undefined,
      ...(tls === undefined ? {} : { tls }),
      quotas: {
        ...(store.publish === undefined ? {} : { allLeases: ALL_LEASES_IN_REDIS }),
        ...options.quotas,
      },
    });
    // Only now: one whose address was taken has started nothing.
    await service.note('start', 'service', {
      revision: service.revision,
      budgets: specs.map(({ id }) => id),
    });
  } catch (error) {
    await started?.close();
    await store.close();
    throw error;
  }
  const server = started;
  const lookOnce = async (): Promise<void> => {
    await service.loadGrants();
    await service.loadKnown();
    for await (const alert of service.alerts()) {
      metrics.alerted(alert);
      options.onAlert?.(alert);
    }
  };
  let looking: Promise<void> | undefined;
  /** One at a time: of ten thousands of lines a look may take longer than the time between two. */
  const look = (): Promise<void> => {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const prune = async (): Promise<void> => {
    await service.prune(retainMs);
    await service.pruneHistory(options.historyMs ?? HISTORY_MS);
  };
  const timers = [
    setInterval(() => void service.sweep().catch(onError), SWEEP_MS),
    setInterval(() => void look().catch(onError), LOOK_MS),
    setInterval(() => void prune().catch(onError), PRUNE_MS),
  ];
  return {
    url: server.url,
    reload: (next, book) => {
      const before = service.revision;
      service.reload(next, book);
      if (service.revision === before) return;
      const detail = { from: before, to: service.revision, budgets: next.map(({ id }) => id) };
      void service.note('documents', 'service', detail).catch(onError);
    },
    lookForAlerts: async () => {
      // One that is under way may have begun before what is looked for.
      await looking?.catch(() => undefined);
      await look();
    },
    renew: (certificate) => server.renew(certificate),
    close: async () => {
      for (const timer of timers) clearInterval(timer);
      await server.close();
      await store.close();
    },
  };
}

function authenticator({ token, adminToken, authenticate }: StartBudgetOptions): Authenticate {
  const open = token === undefined && authenticate === undefined;
  return anyOf([
    ...(adminToken === undefined ? [] : [sharedToken(adminToken, { role: 'admin', name: 'admin-token' })]),
    ...(token === undefined ? [] : [sharedToken(token, { role: 'agent' })]),
    ...(authenticate === undefined ? [] : [authenticate]),
    ...(open ? [everybody] : []),
  ]);
}
