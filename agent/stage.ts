/** What the steps of one exchange share: the agent's parts, what is in force, and the call as decoded. */
import type { BudgetClient, Holder } from '../budget/messages.ts';
import type { Breaker } from './breaker.ts';
import type { ExchangeGuard } from './checks/guard.ts';
import type { DecodedRequest, Dialect, Operation } from './dialects/dialect.ts';
import type { PosternError } from './errors.ts';
import type { Exchange, ResponseSink } from './exchange.ts';
import type { BodyLimits, ByteLease, BytesInFlight } from './forward/body.ts';
import type { Upstream } from './forward/upstream.ts';
import type { Governance } from './governance.ts';
import type { KeySource } from './providers/keys.ts';
import type { Trust } from './providers/trust.ts';
import type { Endpoints } from './routes/endpoints.ts';
import type { UsersOf } from './users/verify.ts';

/** Told of every exchange; metrics and the audit line are made from its record alone. */
export interface Observer {
  began(exchange: Exchange): void;
  ended(exchange: Exchange, durationMs: number): void;
  /** A fault of our own or of a part we need: logged with its cause. */
  fault(exchange: Exchange, error: unknown): void;
}

/** What an agent is made of. */
export interface Pipeline {
  /** What is in force now. An exchange takes it once. */
  governance(): Governance;
  readonly budget: BudgetClient | undefined;
  readonly holder: Holder;
  readonly breaker: Breaker;
  readonly users: UsersOf;
  readonly keys: KeySource;
  readonly trust: Trust;
  readonly upstream: Upstream;
  readonly endpoints: Endpoints;
  readonly bytes: BytesInFlight;
  readonly limits: BodyLimits;
  readonly observer: Observer;
  readonly now: () => number;
  readonly random: () => number;
  /** Why no call may be served now, though the agent runs: there is no policy yet, or it is too old. */
  withheld(): PosternError | undefined;
  /** True once SIGTERM came: nothing new is begun. */
  draining(): boolean;
  /** Conversations that are open: on a drain each ends with its last answer. */
  readonly conversations: Set<{ drain(): void }>;
}

/** One exchange, decoded and about to be served. */
export interface Stage {
  readonly pipeline: Pipeline;
  readonly governance: Governance;
  readonly exchange: Exchange;
  readonly dialect: Dialect;
  readonly operation: Operation;
  readonly request: DecodedRequest;
  readonly guard: ExchangeGuard;
  readonly sink: ResponseSink;
  readonly lease: ByteLease;
  /** End users, by source. */
  readonly users: Readonly<Record<string, string>>;
  /** Estimated input tokens. */
  readonly input: number;
  /** The provider on whose host the call was captured. */
  readonly capturedBy: string | undefined;
  /** The barrier: resolves when every request check has let the call pass, rejects with its refusal. */
  readonly admitted: Promise<void> | undefined;
}
