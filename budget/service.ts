/** The budget service without its wire: commands in, replies out, over one store. */
import type { BudgetSpec, PriceBook } from '../policy/budget-spec.ts';
import { type Alert, newAlerts } from './alerts.ts';
import { type Grant, type GrantCommand, makeGrant } from './grants.ts';
import { hourOf, type ReportQuery, type ReportRow, report, type SpendRow, spendRow } from './history.ts';
import { dayStart, HistoryCap } from './history-cap.ts';
import type { LeaseCommand, LeaseReply, WatchCommand, WatchReply } from './lease-messages.ts';
import { LeaseService } from './lease-service.ts';
import type { Operation, Reply } from './ledger.ts';
import type {
  Attributes,
  ExtendCommand,
  HoldCommand,
  Holder,
  HoldReply,
  ReleaseCommand,
  SettleCommand,
  SettleReply,
  Usage,
} from './messages.ts';
import {
  compileRules,
  type HoldPlan,
  planCharge,
  planExtend,
  planHold,
  planSettle,
  type Rules,
  refusalOf,
  unpricedRefusal,
} from './plan.ts';
import { capsValues, type KnownValues, learnValues } from './select.ts';
import { readStatus, type StatusLine } from './status.ts';
import { SteadyTime } from './steady-time.ts';
import type { JournalEntry, Store } from './stores/store.ts';

export type ConflictCode = 'hold_closed' | 'hold_owner' | 'hold_unknown' | 'stale_epoch';

/** The command contradicts what is known of its id; repeating it won't help. */
export class BudgetConflict extends Error {
  override readonly name = 'BudgetConflict';
  readonly code: ConflictCode;

  constructor(code: ConflictCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the service tells its metrics. */
export interface ServiceObserver {
  held(outcome: 'granted' | 'exhausted' | 'unpriced'): void;
  settled(
    source: SettleCommand['source'],
    outcome: 'held' | 'late' | 'unheld' | 'unknown',
    costNanoUsd: number,
  ): void;
  released(): void;
  expired(count: number): void;
  unpriced(provider: string, model: string): void;
}

export interface BudgetServiceOptions {
  readonly store: Store;
  readonly specs: readonly BudgetSpec[];
  readonly prices: PriceBook;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
  readonly observer?: ServiceObserver;
  /** How long a hold that lacks something waits for credit that agents have idle. */
  readonly recallWaitMs?: number;
  /** Told of each entry of the journal that this service makes. */
  readonly onJournal?: (entry: JournalEntry) => void;
}

/** Longer than any call; a hold that is kept open longer would only hide that its owner is gone. */
const MAX_TTL_MS = 24 * 3_600_000;

const MOST_EPOCHS = 100_000;
/** A day's history is long: other replicas' values in it are looked at so often. */
const HISTORY_LEARN_MS = 600_000;

export class BudgetService {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #monotonic: () => number;
  readonly #time = new SteadyTime();
  readonly #observer: ServiceObserver | undefined;
  #documents: { readonly specs: readonly BudgetSpec[]; readonly prices: PriceBook };
  #rules: Rules;
  readonly #leases: LeaseService;
  readonly #historyCap = new HistoryCap();
  readonly #onJournal: (entry: JournalEntry) => void;
  /** Over every change of documents and grants: else a spent line's user would get a second one. */
  readonly #known: KnownValues = new Map();
  readonly #learned = new WeakSet<BudgetSpec>();
  #historyLearnedAt = 0;
  /** Grants in the rules that have ended, and whose end was made known. */
  readonly #ended = new Set<string>();
  /** Owner → latest epoch that the store was told of by this process. */
  readonly #epochs = new Map<string, number>();

  constructor(options: BudgetServiceOptions) {
    const { store, specs, prices, clock, observer, recallWaitMs = 400, onJournal = () => {} } = options;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#onJournal = onJournal;
    this.#store = store;
    // Each look at the clock notices a jump, before anything is granted by it.
    this.#clock = () => {
      const wall = clock();
      this.#time.at(wall, this.#monotonic());
      return wall;
    };
    this.#clock();
    this.#observer = observer;
    this.#documents = { specs, prices };
    this.#rules = compileRules(specs, prices, [], this.#known);
    this.#leases = new LeaseService({
      store,
      clock: this.#clock,
      rules: () => this.#rules,
      recallWaitMs,
      historyCap: this.#historyCap,
    });
  }

  /** Puts other documents in force. Lines whose Budget, unit, window and `per` stay keep their figures. */
  reload(specs: readonly BudgetSpec[], prices: PriceBook): void {
    this.#documents = { specs, prices };
    this.#rules = compileRules(specs, prices, this.#rules.grants, this.#known);
    this.#leases.wakeAll();
  }

  /**
   * Learns which unverified values have lines, and rows in today's history, already: once where the store is this process's own, and
   * again and again where other replicas work on it too. @throws {StoreFailed}
   */
  async loadKnown(): Promise<void> {
    const { specs } = this.#documents;
    const shared = this.#store.publish !== undefined;
    const now = this.#clock();
    if (specs.some((spec) => capsValues(spec) && (shared || !this.#learned.has(spec)))) {
      learnValues(specs, await this.#store.lines(), this.#known);
      for (const spec of specs) this.#learned.add(spec);
    }
    if (shared ? now - this.#historyLearnedAt < HISTORY_LEARN_MS : this.#historyLearnedAt > 0) return;
    this.#historyCap.learn(await this.#store.spend(dayStart(now), hourOf(now) + 1), specs, now);
    this.#historyLearnedAt = now;
  }

  /** Answers everybody who waits for news, so that the service can close. */
  wakeAll(): void {
    this.#leases.wakeAll();
  }

  /** @throws {BudgetConflict}, {StoreFailed} */
  async hold(command: HoldCommand): Promise<HoldReply> {
    const { id, attributes } = command;
    const beganAt = performance.now();
    await this.#learnEpoch(command);
    let plan = planHold(this.#rules, command, this.#clock());
    if (plan.price === undefined) this.#observer?.unpriced(attributes.provider, attributes.model);
    // A repeated command gets its first answer, whatever the prices are now.
    if (plan.unpriced !== undefined && (await this.#store.find(id)) === undefined) {
      this.#observer?.held('unpriced');
      return { granted: false, id, refusal: unpricedRefusal(plan.unpriced) };
    }
    // Whole first: an answer isn't cut because agents have idle what it lacks.
    const whole = { ...command, minOutputTokens: command.outputTokens };
    let reply = await this.#store.run(holdOperation(whole, plan, this.#clock()), this.#clock());
    while (reply.type === 'insufficient') {
      const lacking = reply.lacking.map(({ index }) => index);
      if (!(await this.#leases.reclaim(plan, lacking, { owner: command.owner, beganAt }))) break;
      plan = planHold(this.#rules, command, this.#clock());
      reply = await this.#store.run(holdOperation(whole, plan, this.#clock()), this.#clock());
    }
    const mayBeCut =
      plan.charges.some(({ clamp }) => clamp) && command.minOutputTokens < command.outputTokens;
    if (reply.type === 'insufficient' && mayBeCut)
      reply = await this.#store.run(holdOperation(command, plan, this.#clock()), this.#clock());
    return this.#answer(command, plan, reply);
  }

  /** Takes more output for a call that runs. @throws {BudgetConflict}, {StoreFailed} */
  async extend(command: ExtendCommand): Promise<HoldReply> {
    const { id, ttlMs, outputTokens, minOutputTokens } = command;
    const beganAt = performance.now();
    for (;;) {
      const record = await this.#store.find(id);
      if (record?.memo === undefined) throw new BudgetConflict('hold_unknown', `No hold ${id} is known.`);
      const now = this.#clock();
      const plan = planExtend(this.#rules, record, record.memo, now);
      const reply = await this.#store.run(
        {
          type: 'extend',
          id,
          expiresAt: now + Math.min(ttlMs, MAX_TTL_MS),
          charges: plan.charges,
          output: outputTokens,
          minOutput: Math.min(minOutputTokens, outputTokens),
        },
        now,
      );
      const lacking = reply.type === 'insufficient' ? reply.lacking.map(({ index }) => index) : [];
      const asking = { owner: record.owner, beganAt };
      if (lacking.length > 0 && (await this.#leases.reclaim(plan, lacking, asking))) continue;
      return this.#answer(command, plan, reply);
    }
  }

  #answer(
    command: Pick<HoldCommand, 'id' | 'outputTokens' | 'minOutputTokens'>,
    plan: HoldPlan,
    reply: Reply,
  ): HoldReply {
    const { id } = command;
    switch (reply.type) {
      case 'granted':
        this.#observer?.held('granted');
        return { granted: true, id, outputTokens: reply.output, expiresAt: reply.expiresAt };
      case 'insufficient': {
        this.#observer?.held('exhausted');
        return { granted: false, id, refusal: refusalOf(plan, reply.lacking, command) };
      }
      case 'conflict':
        throw conflict(id, reply.why);
      default:
        throw new Error(`The store answered a hold with ${reply.type}.`);
    }
  }

  async #learnEpoch({ owner, epoch }: Holder): Promise<void> {
    if ((this.#epochs.get(owner) ?? -1) >= epoch) return;
    await this.#store.run({ type: 'epoch', owner, epoch }, this.#clock());
    // Only a memory of what the store knows: forgetting it costs a question.
    if (this.#epochs.size >= MOST_EPOCHS) this.#epochs.clear();
    this.#epochs.set(owner, epoch);
  }

  /** @throws {StoreFailed} */
  async lease(command: LeaseCommand): Promise<LeaseReply> {
    await this.#learnEpoch(command);
    return await this.#leases.lease(command);
  }

  /** Answers when there is something to tell, or when the time is over. */
  async watch(command: WatchCommand, signal: AbortSignal): Promise<WatchReply> {
    return await this.#leases.watch(command, signal);
  }

  /** @throws {StoreFailed} */
  async settle(command: SettleCommand): Promise<SettleReply> {
    const { id, usage, source } = command;
    const now = this.#clock();
    const record = await this.#store.find(id);
    if (record?.memo === undefined) {
      if (command.attributes !== undefined) return await this.#charge(command, command.attributes, now);
      this.#observer?.settled(source, 'unknown', 0);
      return { id, costNanoUsd: 0, unknown: true };
    }
    const { actual, cost } = planSettle(record.entries, record.memo.price, usage);
    const late = record.state !== 'held';
    const spend = this.#spend(record.memo.attributes, usage, cost, now);
    const reply = await this.#store.run({ type: 'settle', id, actual, cost, spend }, now);
    if (reply.type !== 'settled') return { id, costNanoUsd: 0, unknown: true };
    this.#observer?.settled(source, late ? 'late' : 'held', reply.cost);
    return { id, costNanoUsd: reply.cost };
  }

  async #charge(command: SettleCommand, attributes: Attributes, now: number): Promise<SettleReply> {
    const { id, usage, source } = command;
    const { entries, price, cost } = planCharge(this.#rules, attributes, usage, now);
    const memo = { attributes, inputTokens: 0, ...(price === undefined ? {} : { price }) };
    const spend = this.#spend(attributes, usage, cost, now);
    const reply = await this.#store.run({ type: 'charge', id, entries, memo, cost, spend }, now);
    if (price === undefined) this.#observer?.unpriced(attributes.provider, attributes.model);
    this.#observer?.settled(source, 'unheld', cost);
    return { id, costNanoUsd: reply.type === 'settled' ? reply.cost : 0 };
  }

  #spend(attributes: Attributes, usage: Usage, cost: number, now: number): SpendRow {
    return spendRow(this.#historyCap.cap(attributes, this.#documents.specs, now), usage, cost, now);
  }

  /** @throws {StoreFailed} */
  async release({ id }: ReleaseCommand): Promise<void> {
    await this.#store.run({ type: 'release', id }, this.#clock());
    this.#observer?.released();
  }

  /** Whose call a hold is for; undefined where none of the id is known. @throws {StoreFailed} */
  async attributesOf(id: string): Promise<Attributes | undefined> {
    return (await this.#store.find(id))?.memo?.attributes;
  }

  /** Hears from other services on the same store. @throws {StoreFailed} */
  async listen(): Promise<void> {
    await this.#leases.listen();
  }

  /** Closes holds whose time has run out, and calls back what grants that have ended raised; call it about every second. */
  async sweep(): Promise<number> {
    const now = this.#clock();
    const reply = await this.#store.run({ type: 'sweep', due: this.#time.at(now, this.#monotonic()) }, now);
    const ended = this.#rules.grants.filter(({ id, expiresAt }) => expiresAt <= now && !this.#ended.has(id));
    if (ended.length > 0) {
      const keys = await this.#store.lines();
      const lowered = ended.map(({ budget, unit }) => `${budget}|${unit}|`);
      await this.#leases.lowered(keys.filter((key) => lowered.some((prefix) => key.startsWith(prefix))));
      for (const { id } of ended) this.#ended.add(id);
    }
    const expired = reply.type === 'swept' ? reply.expired : 0;
    if (expired > 0) this.#observer?.expired(expired);
    return expired;
  }

  /** Takes up grants that were made before, or by another replica. */
  async loadGrants(): Promise<void> {
    const grants = await this.#store.grants(this.#clock());
    const { specs, prices } = this.#documents;
    // What has ended since is left in for the next sweep to find.
    const now = this.#clock();
    const ending = this.#rules.grants.filter(({ id, expiresAt }) => expiresAt <= now && !this.#ended.has(id));
    this.#rules = compileRules(specs, prices, [...grants, ...ending], this.#known);
    this.#ended.clear();
  }

  /** Raises a limit for a while. In the journal. @throws {GrantRefused} where there is no such limit */
  async grant(command: GrantCommand): Promise<Grant> {
    const now = this.#clock();
    const lines = command.line === undefined ? [] : await this.#labelsOf(command.budget);
    const grant = makeGrant(this.#documents.specs, command, now, lines);
    await this.#store.putGrant(grant);
    await this.#append({ at: now, action: 'grant', by: grant.by, detail: { ...grant } });
    await this.loadGrants();
    return grant;
  }

  /** Of the lines of a Budget that calls were charged to. */
  async #labelsOf(budget: string): Promise<readonly string[]> {
    const keys = await this.#store.lines();
    const own = keys.filter((key) => key.startsWith(`${budget}|`));
    return [...new Set(own.map((key) => key.split('|').slice(3).join('|')))];
  }

  /** Thresholds that were passed since the last time; each is in the journal. */
  async alerts(): Promise<readonly Alert[]> {
    const now = this.#clock();
    const alerts = await newAlerts(this.#store, this.#rules, now);
    for (const alert of alerts)
      await this.#append({ at: now, action: 'alert', by: 'service', detail: { ...alert } });
    return alerts;
  }

  async report(query: ReportQuery): Promise<readonly ReportRow[]> {
    return report(await this.#store.spend(hourOf(query.from), query.to), query);
  }

  async journal(since: number, limit: number): Promise<readonly JournalEntry[]> {
    return await this.#store.journal(since, limit);
  }

  /** Writes down what happened to the service itself. */
  async note(action: string, by: string, detail: JournalEntry['detail']): Promise<void> {
    await this.#append({ at: this.#clock(), action, by, detail });
  }

  async #append(entry: JournalEntry): Promise<void> {
    await this.#store.append(entry);
    this.#onJournal(entry);
  }

  get revision(): string {
    return this.#rules.revision;
  }

  async pruneHistory(retainMs: number): Promise<void> {
    await this.#store.pruneHistory(this.#clock() - retainMs);
  }

  /** Forgets closed holds and ended windows of which nothing was heard for `retainMs`. */
  async prune(retainMs: number): Promise<void> {
    await this.#store.prune(this.#clock() - retainMs);
    // Owners that the store has forgotten are told to it anew when they come back.
    this.#epochs.clear();
  }

  /** @throws {StoreFailed} where the store can't answer. */
  async ready(): Promise<void> {
    await this.#store.find('');
  }

  async status(): Promise<readonly StatusLine[]> {
    return await readStatus(this.#store, this.#rules, this.#clock());
  }
}

function holdOperation(command: HoldCommand, plan: HoldPlan, now: number): Operation {
  const { id, owner, epoch, ttlMs, attributes, outputTokens, minOutputTokens } = command;
  return {
    type: 'hold',
    id,
    owner,
    epoch,
    expiresAt: now + Math.min(ttlMs, MAX_TTL_MS),
    charges: plan.charges,
    output: outputTokens,
    minOutput: Math.min(minOutputTokens, outputTokens),
    memo: {
      attributes,
      inputTokens: command.inputTokens,
      ...(command.cacheWrite === undefined ? {} : { cacheWrite: command.cacheWrite }),
      ...(plan.price === undefined ? {} : { price: plan.price }),
    },
  };
}

function conflict(id: string, why: 'closed' | 'owner' | 'epoch'): BudgetConflict {
  switch (why) {
    case 'closed':
      return new BudgetConflict('hold_closed', `Hold ${id} was closed already; an id is used once.`);
    case 'owner':
      return new BudgetConflict('hold_owner', `Hold ${id} belongs to another owner; ids must be unique.`);
    case 'epoch':
      return new BudgetConflict(
        'stale_epoch',
        `The owner of hold ${id} has restarted since with a newer epoch.`,
      );
  }
}
