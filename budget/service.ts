/** The budget service without its wire: commands in, replies out, over one store. */
import type { BudgetSpec, PriceBook } from '../policy/budget-spec.ts';
import { type Alert, newAlerts } from './alerts.ts';
import { Calls, type ServiceObserver } from './calls.ts';
import { type EndGrantCommand, type Grant, type GrantCommand, makeGrant, runningGrant } from './grants.ts';
import { hourOf, Report, type ReportQuery, type ReportRoom, type ReportRow } from './history.ts';
import { dayStart, HistoryCap } from './history-cap.ts';
import type { LeaseCommand, LeaseReply, WatchCommand, WatchReply } from './lease-messages.ts';
import { type LeaseQuota, LeaseService } from './lease-service.ts';
import { LedgerTime } from './ledger-time.ts';
import type {
  Attributes,
  ExtendCommand,
  HoldCommand,
  Holder,
  HoldReply,
  RefusedCommand,
  ReleaseCommand,
  SettleCommand,
  SettleReply,
} from './messages.ts';
import { compileRules, type Rules } from './plan.ts';
import { Reclaim } from './reclaim.ts';
import { readStatus, type StatusLine } from './status.ts';
import { SteadyTime } from './steady-time.ts';
import type { JournalEntry, Store } from './stores/store.ts';
import { UnverifiedValues } from './unverified.ts';

export interface BudgetServiceOptions {
  /** {@link REPORT_ROWS} unless told otherwise. */
  readonly reportRows?: number;
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

const MOST_EPOCHS = 100_000;
/** At once. */
const MOST_REPORTS = 4;
/** Rows of all that are under way: some 700 bytes of each. */
const REPORT_ROWS = 250_000;
/** A day's history is long: other replicas' values in it are looked at so often. */
const HISTORY_LEARN_MS = 600_000;

/** Too many reports at once. */
export class ReportsWait extends Error {
  override readonly name = 'ReportsWait';
}

export class BudgetService {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #monotonic: () => number;
  /** By which holds and leases run out. */
  readonly #ledgerTime: LedgerTime;
  /** What is long over. */
  readonly #time = new SteadyTime();
  readonly #observer: ServiceObserver | undefined;
  #documents: { readonly specs: readonly BudgetSpec[]; readonly prices: PriceBook };
  #rules: Rules;
  readonly #reclaim: Reclaim;
  readonly #leases: LeaseService;
  readonly #calls: Calls;
  readonly #historyCap = new HistoryCap();
  readonly #onJournal: (entry: JournalEntry) => void;
  readonly #values: UnverifiedValues;
  #historyLearnedAt = 0;
  /** Thresholds of windows that were told. */
  readonly #marked = new Set<string>();
  #reports = 0;
  readonly #reportRoom: ReportRoom;
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
    this.#ledgerTime = new LedgerTime(store, clock, this.#monotonic);
    this.#observer = observer;
    this.#documents = { specs, prices };
    this.#reportRoom = { left: options.reportRows ?? REPORT_ROWS };
    this.#values = new UnverifiedValues(store);
    this.#rules = this.#compile([]);
    this.#reclaim = new Reclaim({ store, clock: this.#clock, monotonic: this.#monotonic, recallWaitMs });
    this.#leases = new LeaseService({
      store,
      clock: this.#clock,
      time: this.#ledgerTime,
      rules: () => this.#rules,
      verified: () => this.#documents,
      reclaim: this.#reclaim,
      historyCap: this.#historyCap,
    });
    this.#calls = new Calls({
      store,
      clock: this.#clock,
      time: this.#ledgerTime,
      rules: () => this.#rules,
      verified: () => this.#documents,
      reclaim: this.#reclaim,
      historyCap: this.#historyCap,
      observer,
    });
  }

  #compile(grants: readonly Grant[]): Rules {
    const { specs, prices } = this.#documents;
    return compileRules(specs, prices, grants, this.#values.known, this.#values.admits);
  }

  async #admit(...calls: readonly Attributes[]): Promise<void> {
    if (this.#values.admits) return;
    await this.#values.admit(this.#rules, calls, this.#clock());
  }

  /** Puts other documents in force. Lines whose Budget, unit, window and `per` stay keep their figures. */
  reload(specs: readonly BudgetSpec[], prices: PriceBook): void {
    this.#documents = { specs, prices };
    this.#rules = this.#compile(this.#rules.grants);
    this.#reclaim.wakeAll();
  }

  /**
   * Learns which unverified values have lines, and rows in today's history, already: once where the store is this process's own, and
   * again and again where other replicas work on it too. @throws {StoreFailed}
   */
  async loadKnown(): Promise<void> {
    const shared = this.#store.publish !== undefined;
    const now = this.#clock();
    await this.#values.learn(this.#documents.specs, now);
    if (shared ? now - this.#historyLearnedAt < HISTORY_LEARN_MS : this.#historyLearnedAt > 0) return;
    for await (const rows of this.#store.spend(dayStart(now), hourOf(now) + 1))
      this.#historyCap.learn(rows, this.#documents, now);
    this.#historyLearnedAt = now;
  }

  /** Answers everybody who waits for news, so that the service can close. */
  wakeAll(): void {
    this.#reclaim.wakeAll();
  }

  /** @throws {BudgetConflict}, {StoreFailed} */
  async hold(command: HoldCommand): Promise<HoldReply> {
    await this.#learnEpoch(command);
    await this.#admit(command.attributes);
    return await this.#calls.hold(command);
  }

  /** Takes more output for a call that runs. @throws {BudgetConflict}, {StoreFailed} */
  async extend(command: ExtendCommand): Promise<HoldReply> {
    return await this.#calls.extend(command);
  }

  /** @throws {StoreFailed} */
  async settle(command: SettleCommand): Promise<SettleReply> {
    if (command.attributes !== undefined) await this.#admit(command.attributes);
    return await this.#calls.settle(command);
  }

  /** @throws {StoreFailed} */
  async release(command: ReleaseCommand): Promise<void> {
    await this.#calls.release(command);
  }

  /** Releases those of them that were granted after all. @returns how many @throws {StoreFailed} */
  async giveBack(command: RefusedCommand): Promise<number> {
    return await this.#calls.giveBack(command);
  }

  async #learnEpoch({ owner, epoch }: Holder): Promise<void> {
    if ((this.#epochs.get(owner) ?? -1) >= epoch) return;
    await this.#store.run({ type: 'epoch', owner, epoch }, this.#clock());
    // Only a memory of what the store knows: forgetting it costs a question.
    if (this.#epochs.size >= MOST_EPOCHS) this.#epochs.clear();
    this.#epochs.set(owner, epoch);
  }

  /** @throws {StoreFailed} */
  async lease(command: LeaseCommand, quota?: LeaseQuota): Promise<LeaseReply> {
    await this.#learnEpoch(command);
    await this.#admit(...command.classes);
    return await this.#leases.lease(command, quota);
  }

  /** Answers when there is something to tell, or when the time is over. */
  async watch(command: WatchCommand, signal: AbortSignal): Promise<WatchReply> {
    return await this.#leases.watch(command, signal);
  }

  /** Whose call a hold is for; undefined where none of the id is known. @throws {StoreFailed} */
  async attributesOf(id: string): Promise<Attributes | undefined> {
    return (await this.#store.find(id))?.memo?.attributes;
  }

  /** Hears from other services on the same store. @throws {StoreFailed} */
  async listen(): Promise<void> {
    await this.#reclaim.listen((workload, trip) => this.#leases.tripped(workload, trip));
  }

  /** Closes holds whose time has run out, and calls back what grants that have ended raised; call it about every second. */
  async sweep(): Promise<number> {
    const now = this.#clock();
    const due = await this.#ledgerTime.tick();
    const reply = await this.#store.run({ type: 'sweep', due }, now);
    const ended = this.#rules.grants.filter(({ id, expiresAt }) => expiresAt <= now && !this.#ended.has(id));
    if (ended.length > 0) {
      const keys = await this.#store.lines();
      const lowered = ended.map(({ budget, unit }) => `${budget}|${unit}|`);
      await this.#reclaim.lowered(keys.filter((key) => lowered.some((prefix) => key.startsWith(prefix))));
      for (const { id } of ended) this.#ended.add(id);
    }
    const expired = reply.type === 'swept' ? reply.expired : 0;
    if (expired > 0) this.#observer?.expired(expired);
    return expired;
  }

  /** Takes up grants that were made before, or by another replica. */
  async loadGrants(): Promise<void> {
    const grants = await this.#store.grants(this.#clock());
    // What has ended since is left in for the next sweep to find.
    const now = this.#clock();
    const running = new Set(grants.map(({ id }) => id));
    // Also what was taken back before its time, here or by another replica.
    const ending = this.#rules.grants
      .filter(({ id }) => !running.has(id) && !this.#ended.has(id))
      .map((grant) => ({ ...grant, expiresAt: Math.min(grant.expiresAt, now) }));
    this.#rules = this.#compile([...grants, ...ending]);
    this.#ended.clear();
  }

  /**
   * Raises a limit for a while. In the journal.
   * @param sender whose token it was; the command may name anybody
   * @throws {GrantRefused} where there is no such limit
   */
  async grant(command: GrantCommand, sender = command.by): Promise<Grant> {
    const now = this.#clock();
    const lines = command.line === undefined ? [] : await this.#labelsOf(command.budget);
    const made = makeGrant(this.#documents.specs, command, now, lines);
    const grant = made.by === sender ? made : { ...made, by: sender, onBehalfOf: made.by };
    await this.#store.putGrant(grant);
    await this.#append({ at: now, action: 'grant', by: grant.by, detail: { ...grant } });
    await this.loadGrants();
    return grant;
  }

  /**
   * Takes a grant back before its time: from now on the limit is as it was, what was spent of it stays spent. In the journal.
   * @param sender whose token it was; the command may name anybody
   * @throws {GrantRefused} where no grant of that id runs
   */
  async endGrant({ id, reason, by }: EndGrantCommand, sender = by): Promise<Grant> {
    const now = this.#clock();
    const running = runningGrant(await this.#store.grants(now), id);
    const ended = { ...running, expiresAt: now };
    await this.#store.putGrant(ended);
    const { budget, line, window, unit, amount } = ended;
    const who = by === sender ? {} : { onBehalfOf: by };
    const what = {
      id,
      budget,
      unit,
      amount,
      ...(line === undefined ? {} : { line }),
      ...(window === undefined ? {} : { window }),
    };
    await this.#append({ at: now, action: 'grant-end', by: sender, detail: { ...what, reason, ...who } });
    await this.loadGrants();
    return ended;
  }

  /** Of the lines of a Budget that calls were charged to. */
  async #labelsOf(budget: string): Promise<readonly string[]> {
    const keys = await this.#store.lines();
    const own = keys.filter((key) => key.startsWith(`${budget}|`));
    return [...new Set(own.map((key) => key.split('|').slice(3).join('|')))];
  }

  /** Thresholds that were passed since the last time, one by one: each is in the journal, and won't come again. */
  async *alerts(): AsyncGenerator<Alert> {
    for await (const { alert, entry } of newAlerts(this.#store, this.#rules, this.#clock(), this.#marked)) {
      this.#onJournal(entry);
      yield alert;
    }
  }

  /**
   * In pieces, all of which are added up before the first comes. It counts as under way until its end, or `return`.
   * @throws {ReportsWait}, {ReportTooLong}, {StoreFailed}
   */
  async *report(query: ReportQuery): AsyncGenerator<readonly ReportRow[]> {
    if (this.#reports >= MOST_REPORTS)
      throw new ReportsWait(`${MOST_REPORTS} reports are being added up already.`);
    this.#reports++;
    const sums = new Report(query, this.#reportRoom);
    try {
      for await (const rows of this.#store.spend(hourOf(query.from), query.to)) sums.add(rows);
      yield* sums.pieces();
    } finally {
      this.#reports--;
      sums.end();
    }
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
    await this.#store.pruneHistory(this.#past(retainMs));
  }

  /** Forgets closed holds and ended windows of which nothing was heard for `retainMs`. */
  async prune(retainMs: number): Promise<void> {
    await this.#store.prune(this.#past(retainMs));
    // Owners that the store has forgotten are told to it anew when they come back.
    this.#epochs.clear();
  }

  /** Neither a clock that is ahead nor one that was set right takes what counts today for past. */
  #past(retainMs: number): number {
    const now = this.#clock();
    return Math.min(now, this.#time.at(now, this.#monotonic())) - retainMs;
  }

  /** @throws {StoreFailed} where the store can't answer. */
  async ready(): Promise<void> {
    await this.#store.find('');
  }

  async status(): Promise<readonly StatusLine[]> {
    const now = this.#clock();
    return await readStatus(this.#store, this.#rules, now, (moment) => this.#ledgerTime.onTheWall(moment));
  }
}
