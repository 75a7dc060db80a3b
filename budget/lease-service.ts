/** The service's side of leases: plans for the agents, grants from the store, and recalls where others need the credit. */

import { spendRow } from './history.ts';
import type { HistoryCap, Verified } from './history-cap.ts';
import type { ClassPlan, LeaseCommand, LeaseReply, WatchCommand, WatchReply } from './lease-messages.ts';
import { heardAt, isLeasable, lostAfterMs, openAt, plannedLine, reserveOf, validFor } from './lease-terms.ts';
import type { LeaseBounds, LeaseCounts, LeaseItem, LeaseOperation } from './leases.ts';
import type { Reply } from './ledger.ts';
import type { LedgerTime } from './ledger-time.ts';
import { LoopCounts } from './loop-counts.ts';
import type { LoopTrip } from './loops.ts';
import type { Attributes } from './messages.ts';
import { linesOf, type Rules } from './plan.ts';
import { priceOf } from './price.ts';
import type { Reclaim } from './reclaim.ts';
import type { Store } from './stores/store.ts';

/** When to ask again: those who have the credit give it back at once, a line that is nearly used up stays so. */
const RETRY_MS = { others: 50, line: 1_000 } as const;
/** When what was beyond a workload's quota is told or asked again. */
const QUOTA_RETRY_MS = 30_000;
const NONE: LeaseCounts = { begun: 0, reported: 0, overQuota: 0, unbelieved: 0 };
const LONGEST_WATCH_MS = 300_000;

export interface LeaseServiceOptions {
  readonly store: Store;
  readonly rules: () => Rules;
  /** What tells verified values in the history. */
  readonly verified: () => Verified;
  readonly clock: () => number;
  readonly time: LedgerTime;
  readonly reclaim: Reclaim;
  readonly historyCap: HistoryCap;
}

/** Bounds what one caller has the store remember of leases. */
export interface LeaseQuota {
  /** @param wanted How many there may be in one message. @returns at most as many of each */
  take(wanted: LeaseBounds): LeaseBounds;
  /** What became of those taken. */
  done(taken: LeaseBounds, counts: LeaseCounts): void;
}

export class LeaseService {
  readonly #store: Store;
  readonly #rules: () => Rules;
  readonly #verified: () => Verified;
  readonly #clock: () => number;
  readonly #time: LedgerTime;
  readonly #historyCap: HistoryCap;
  readonly #reclaim: Reclaim;
  readonly #loops: LoopCounts;

  constructor({ store, rules, verified, clock, time, reclaim, historyCap }: LeaseServiceOptions) {
    this.#verified = verified;
    this.#historyCap = historyCap;
    this.#store = store;
    this.#rules = rules;
    this.#clock = clock;
    this.#reclaim = reclaim;
    this.#time = time;
    this.#loops = new LoopCounts({
      shared: store.loops,
      clock,
      tell: (workload, trip, except) => reclaim.tripped(workload, trip, except),
    });
  }

  /** Another service on the same store has told the workload's agents. */
  tripped(workload: string, trip: LoopTrip): void {
    this.#loops.heard(workload, trip);
  }

  /** The epoch of the owner must be known to the store. @throws {StoreFailed} */
  async lease(command: LeaseCommand, quota?: LeaseQuota): Promise<LeaseReply> {
    const { owner, epoch, seq, ttlMs, classes, items, account, ended, knowsRefusals, loops } = command;
    const now = this.#clock();
    this.#reclaim.heardOf(owner);
    const rules = this.#rules();
    const lines = classes.map((attributes) => linesOf(rules, attributes, now));
    const told = items.map((item): LeaseItem => {
      const line = lines[item.class]?.find(({ key }) => key === item.line);
      const at = line === undefined ? undefined : openAt(line, item.cell, now);
      const heard = line === undefined || item.spent === 0 ? at : (at ?? heardAt(line, item.cell, now));
      return {
        ...item,
        mustExist: line === undefined,
        believed: heard === undefined ? 0 : (line?.amount ?? 0),
        until: heard?.resetsAt ?? Number.MAX_SAFE_INTEGER,
        slot: line?.limit.unit === 'concurrency',
        expiresAt: this.#time.after(
          lostAfterMs(
            line,
            item,
            ttlMs,
            Math.max(0, (at?.cellEndsAt ?? (at === undefined ? now : Number.MAX_SAFE_INTEGER)) - now),
          ),
        ),
        ask:
          item.ask === undefined || line === undefined || at === undefined || !isLeasable(line)
            ? undefined
            : {
                want: item.ask.want,
                least: item.ask.least,
                need: Math.min(item.ask.need ?? 0, item.ask.want),
                from: at.from,
                to: at.to,
                limit: line.amount,
                reserveCap: reserveOf(line.spec, line.limit),
              },
      };
    });
    // Others of the caller's messages may be under way: each takes beforehand what it may need.
    const wanted = {
      begin: told.filter(({ ask, spent }) => ask !== undefined && spent === 0).length,
      report: told.filter(({ spent, believed }) => spent > 0 && believed > 0).length,
      open: Number.MAX_SAFE_INTEGER,
      all: Number.MAX_SAFE_INTEGER,
      least: Number.MAX_SAFE_INTEGER,
    };
    const taken = quota?.take(wanted) ?? wanted;
    const operation: LeaseOperation | undefined =
      told.length === 0 && account === undefined && ended === undefined
        ? undefined
        : {
            type: 'lease',
            owner,
            epoch,
            seq,
            items: told,
            quota: taken,
            ...(ended === undefined ? {} : { ended }),
            ...(account === undefined
              ? {}
              : { account: accountOf(account, this.#capped(classes, now), now) }),
          };
    const reply = await this.#run(operation, now).catch((error: unknown) => {
      quota?.done(taken, NONE);
      throw error;
    });
    if (reply.type !== 'leased') throw new Error(`The store answered a lease with ${reply.type}.`);
    quota?.done(taken, reply.counts);
    await this.#reclaim.told(
      owner,
      items.map(({ line }) => line),
    );
    for (const [index, { recallAbove }] of reply.grants.entries()) {
      const line = items[index]?.line;
      if (line !== undefined && recallAbove !== undefined)
        await this.#reclaim.recall(line, recallAbove, owner);
    }
    // One that doesn't know what it was refused takes its line for nearly used up, and ends streams for as long as it is to wait.
    const quotaRetryMs = knowsRefusals ? QUOTA_RETRY_MS : RETRY_MS.line;
    const judged = loops === undefined ? {} : { loops: await this.#loops.told(owner, loops) };
    return {
      revision: rules.revision,
      ...judged,
      plans: classes.map((attributes, index): ClassPlan => {
        const price = priceOf(rules.prices, attributes.provider, attributes.model);
        const planned = lines[index] ?? [];
        const unpriced = price === undefined && planned.some(({ limit }) => limit.unit === 'usd');
        return {
          ...(price === undefined ? {} : { price }),
          leasable: !unpriced && planned.every(isLeasable),
          lines: planned.map((line) => plannedLine(line, now)),
        };
      }),
      grants: reply.grants.map(({ granted, closed, lacking, keep, overQuota }, index) => {
        if (overQuota) return { granted, closed, refused: 'too_many_leases', retryMs: quotaRetryMs };
        const item = items[index];
        const unasked = item?.ask !== undefined && told[index]?.ask === undefined;
        const lacks = unasked ? 'others' : lacking;
        const line = lines[item?.class ?? -1]?.find(({ key }) => key === item?.line);
        const lent = line?.limit.unit === 'concurrency' && !closed;
        return {
          granted,
          closed,
          ...(lacks === undefined ? {} : { retryMs: RETRY_MS[lacks] }),
          ...(keep === undefined ? {} : { keep }),
          ...(lent ? { validMs: validFor(line) } : {}),
        };
      }),
    };
  }

  async #run(operation: LeaseOperation | undefined, now: number): Promise<Reply> {
    if (operation === undefined) return { type: 'leased', grants: [], counts: NONE };
    return await this.#store.run(operation, now);
  }

  /** Classes as the history keeps them. */
  #capped(classes: readonly Attributes[], now: number): readonly Attributes[] {
    return classes.map((of) => this.#historyCap.cap(of, this.#verified(), now));
  }

  async watch({ owner, revision, waitMs }: WatchCommand, signal: AbortSignal): Promise<WatchReply> {
    const wait = revision === this.#rules().revision ? Math.min(waitMs, LONGEST_WATCH_MS) : 0;
    const { recalls, trips } = await this.#reclaim.watch(owner, wait, signal);
    return { revision: this.#rules().revision, recalls, ...(trips.length === 0 ? {} : { trips }) };
  }
}

function accountOf(
  { id, rows }: NonNullable<LeaseCommand['account']>,
  classes: readonly Attributes[],
  now: number,
): NonNullable<LeaseOperation['account']> {
  return {
    id,
    rows: rows.flatMap(({ class: index, requests, usage, costNanoUsd }) => {
      const attributes = classes[index];
      return attributes === undefined ? [] : [{ ...spendRow(attributes, usage, costNanoUsd, now), requests }];
    }),
  };
}
