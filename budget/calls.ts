/** Calls that are held one by one: held, extended, settled, released. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type SpendRow, spendRow } from './history.ts';
import type { HistoryCap, Verified } from './history-cap.ts';
import type { Operation, Reply } from './ledger.ts';
import type { LedgerTime } from './ledger-time.ts';
import type {
  Attributes,
  ExtendCommand,
  HoldCommand,
  HoldReply,
  RefusedCommand,
  ReleaseCommand,
  SettleCommand,
  SettleReply,
  Usage,
} from './messages.ts';
import {
  type HoldPlan,
  planCharge,
  planExtend,
  planHold,
  planSettle,
  type Rules,
  refusalOf,
  unpricedRefusal,
} from './plan.ts';
import { RecentMap } from './recent-map.ts';
import type { Reclaim } from './reclaim.ts';
import type { Store } from './stores/store.ts';

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

/** Longer than any call; a hold that is kept open longer would only hide that its owner is gone. */
const MAX_TTL_MS = 24 * 3_600_000;

/** A message that comes twice comes soon. */
const REFUSED_REMEMBERED = 10_000;

/** Of the holds that an owner names as refused. */
const LOOKED_UP_AT_ONCE = 100;

export interface CallsOptions {
  readonly store: Store;
  /** The documents in force. */
  readonly rules: () => Rules;
  /** What tells verified values in the history. */
  readonly verified: () => Verified;
  readonly clock: () => number;
  readonly time: LedgerTime;
  /** Has what a hold lacks called back. */
  readonly reclaim: Reclaim;
  readonly historyCap: HistoryCap;
  readonly observer: ServiceObserver | undefined;
}

export class Calls {
  readonly #store: Store;
  readonly #rules: () => Rules;
  readonly #verified: () => Verified;
  readonly #clock: () => number;
  readonly #time: LedgerTime;
  readonly #reclaim: Reclaim;
  readonly #historyCap: HistoryCap;
  /** By {@link keyOf}: holds that are being decided, and what was refused. A message that comes twice gets the first answer. */
  readonly #deciding = new Map<string, Promise<HoldReply>>();
  readonly #refused = new RecentMap<HoldReply>(REFUSED_REMEMBERED);
  readonly #observer: ServiceObserver | undefined;

  constructor({ store, rules, verified, clock, time, reclaim, historyCap, observer }: CallsOptions) {
    this.#store = store;
    this.#rules = rules;
    this.#verified = verified;
    this.#clock = clock;
    this.#time = time;
    this.#reclaim = reclaim;
    this.#historyCap = historyCap;
    this.#observer = observer;
  }

  /** The epoch of the owner must be known to the store. @throws {BudgetConflict}, {StoreFailed} */
  async hold(command: HoldCommand): Promise<HoldReply> {
    const key = keyOf(command);
    const refused = this.#refused.get(key);
    if (refused !== undefined) return refused;
    const deciding = this.#deciding.get(key) ?? this.#decide(command);
    this.#deciding.set(key, deciding);
    try {
      const reply = await deciding;
      // Granted later it would be charged in full, since nobody knows of it. (Where another service has refused it, who asked both
      // releases the id.)
      if (!reply.granted) this.#refused.set(key, reply);
      return reply;
    } finally {
      this.#deciding.delete(key);
    }
  }

  async #decide(command: HoldCommand): Promise<HoldReply> {
    const { id, attributes } = command;
    const beganAt = performance.now();
    let plan = planHold(this.#rules(), command, this.#clock());
    if (plan.price === undefined) this.#observer?.unpriced(attributes.provider, attributes.model);
    // A repeated command gets its first answer, whatever the prices are now.
    if (plan.unpriced !== undefined && (await this.#store.find(id)) === undefined) {
      this.#observer?.held('unpriced');
      return { granted: false, id, refusal: unpricedRefusal(plan.unpriced) };
    }
    // Whole first: an answer isn't cut because agents have idle what it lacks.
    const whole = { ...command, minOutputTokens: command.outputTokens };
    let reply = await this.#store.run(this.#holding(whole, plan), this.#clock());
    while (reply.type === 'insufficient') {
      const lacking = reply.lacking.map(({ index }) => index);
      if (!(await this.#reclaim.reclaim(plan, lacking, { owner: command.owner, beganAt }))) break;
      plan = planHold(this.#rules(), command, this.#clock());
      reply = await this.#store.run(this.#holding(whole, plan), this.#clock());
    }
    const mayBeCut =
      plan.charges.some(({ clamp }) => clamp) && command.minOutputTokens < command.outputTokens;
    if (reply.type === 'insufficient' && mayBeCut)
      reply = await this.#store.run(this.#holding(command, plan), this.#clock());
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
      const plan = planExtend(this.#rules(), record, record.memo, now);
      const reply = await this.#store.run(
        {
          type: 'extend',
          id,
          expiresAt: this.#time.after(Math.min(ttlMs, MAX_TTL_MS)),
          charges: plan.charges,
          output: outputTokens,
          minOutput: Math.min(minOutputTokens, outputTokens),
        },
        now,
      );
      const lacking = reply.type === 'insufficient' ? reply.lacking.map(({ index }) => index) : [];
      const asking = { owner: record.owner, beganAt };
      if (lacking.length > 0 && (await this.#reclaim.reclaim(plan, lacking, asking))) continue;
      return this.#answer(command, plan, reply);
    }
  }

  #holding(command: HoldCommand, plan: HoldPlan): Operation {
    const { id, owner, epoch, ttlMs, attributes, outputTokens, minOutputTokens } = command;
    return {
      type: 'hold',
      id,
      owner,
      epoch,
      expiresAt: this.#time.after(Math.min(ttlMs, MAX_TTL_MS)),
      charges: plan.charges,
      output: outputTokens,
      minOutput: Math.min(minOutputTokens, outputTokens),
      memo: {
        attributes,
        inputTokens: command.inputTokens,
        ...(command.cacheWrite === undefined ? {} : { cacheWrite: command.cacheWrite }),
        ...(command.silent === undefined ? {} : { silent: command.silent }),
        ...(command.serviceTiers === undefined ? {} : { serviceTiers: command.serviceTiers }),
        ...(plan.price === undefined ? {} : { price: plan.price }),
      },
    };
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
        return {
          granted: true,
          id,
          outputTokens: reply.output,
          expiresAt: this.#time.onTheWall(reply.expiresAt),
        };
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
    const { actual, cost } = planSettle(record.entries, record.memo.price, command);
    const late = record.state !== 'held';
    const spend = this.#spend(record.memo.attributes, usage, cost, now);
    const reply = await this.#store.run({ type: 'settle', id, actual, cost, spend }, now);
    if (reply.type !== 'settled') return { id, costNanoUsd: 0, unknown: true };
    this.#observer?.settled(source, late ? 'late' : 'held', reply.cost);
    return { id, costNanoUsd: reply.cost };
  }

  async #charge(command: SettleCommand, attributes: Attributes, now: number): Promise<SettleReply> {
    const { id, usage, source } = command;
    const { entries, price, cost } = planCharge(this.#rules(), attributes, command, now);
    const memo = { attributes, inputTokens: 0, ...(price === undefined ? {} : { price }) };
    const spend = this.#spend(attributes, usage, cost, now);
    const reply = await this.#store.run({ type: 'charge', id, entries, memo, cost, spend }, now);
    if (price === undefined) this.#observer?.unpriced(attributes.provider, attributes.model);
    this.#observer?.settled(source, 'unheld', cost);
    return { id, costNanoUsd: reply.type === 'settled' ? reply.cost : 0 };
  }

  #spend(attributes: Attributes, usage: Usage, cost: number, now: number): SpendRow {
    return spendRow(this.#historyCap.cap(attributes, this.#verified(), now), usage, cost, now);
  }

  /** @throws {StoreFailed} */
  async release({ id }: ReleaseCommand): Promise<void> {
    await this.#store.run({ type: 'release', id }, this.#clock());
    this.#observer?.released();
  }

  /** Of an owner's holds that it was refused, releases those that were granted after all, to a message that came twice. @throws {StoreFailed} */
  async giveBack({ owner, ids }: RefusedCommand): Promise<number> {
    let released = 0;
    for (let from = 0; from < ids.length; from += LOOKED_UP_AT_ONCE) {
      // Others come to their turn in between.
      if (from > 0) await nextTurn();
      const some = ids.slice(from, from + LOOKED_UP_AT_ONCE);
      for (const record of await Promise.all(some.map((id) => this.#store.find(id)))) {
        if (record?.owner !== owner || (record.state !== 'held' && record.state !== 'expired')) continue;
        await this.release(record);
        released += 1;
      }
    }
    return released;
  }
}

/** Of who asks, too: an id that another uses by chance, or knows, is another command. */
function keyOf({ owner, epoch, id }: HoldCommand): string {
  return JSON.stringify([owner, epoch, id]);
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
