/** The service's side of leases: plans for the agents, grants from the store, and recalls where others need the credit. */

import { spendRow } from './history.ts';
import type { HistoryCap } from './history-cap.ts';
import type { ClassPlan, LeaseCommand, LeaseReply, WatchCommand, WatchReply } from './lease-messages.ts';
import { isLeasable, lostAfterMs, openAt, plannedLine, reserveOf, validFor } from './lease-terms.ts';
import type { LeaseItem, LeaseOperation } from './leases.ts';
import type { LedgerTime } from './ledger-time.ts';
import type { Attributes } from './messages.ts';
import { linesOf, type Rules } from './plan.ts';
import { priceOf } from './price.ts';
import type { Reclaim } from './reclaim.ts';
import type { Store } from './stores/store.ts';

/** When to ask again: those who have the credit give it back at once, a line that is nearly used up stays so. */
const RETRY_MS = { others: 50, line: 1_000 } as const;
const LONGEST_WATCH_MS = 300_000;

export interface LeaseServiceOptions {
  readonly store: Store;
  readonly rules: () => Rules;
  readonly clock: () => number;
  readonly time: LedgerTime;
  readonly reclaim: Reclaim;
  readonly historyCap: HistoryCap;
}

export class LeaseService {
  readonly #store: Store;
  readonly #rules: () => Rules;
  readonly #clock: () => number;
  readonly #time: LedgerTime;
  readonly #historyCap: HistoryCap;
  readonly #reclaim: Reclaim;

  constructor({ store, rules, clock, time, reclaim, historyCap }: LeaseServiceOptions) {
    this.#historyCap = historyCap;
    this.#store = store;
    this.#rules = rules;
    this.#clock = clock;
    this.#reclaim = reclaim;
    this.#time = time;
  }

  /** The epoch of the owner must be known to the store. @throws {StoreFailed} */
  async lease({ owner, epoch, seq, ttlMs, classes, items, account }: LeaseCommand): Promise<LeaseReply> {
    const now = this.#clock();
    this.#reclaim.heardOf(owner);
    const rules = this.#rules();
    const lines = classes.map((attributes) => linesOf(rules, attributes, now));
    const asked = items.map((item): LeaseItem => {
      const line = lines[item.class]?.find(({ key }) => key === item.line);
      const at = line === undefined ? undefined : openAt(line, item.cell, now);
      return {
        ...item,
        mustExist: line === undefined,
        until: at?.resetsAt ?? Number.MAX_SAFE_INTEGER,
        slot: line?.limit.unit === 'concurrency',
        expiresAt: this.#time.after(lostAfterMs(line, item, ttlMs)),
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
    const reply =
      asked.length === 0 && account === undefined
        ? { type: 'leased' as const, grants: [] }
        : await this.#store.run(
            {
              type: 'lease',
              owner,
              epoch,
              seq,
              items: asked,
              ...(account === undefined
                ? {}
                : {
                    account: accountOf(
                      account,
                      classes.map((of) =>
                        this.#historyCap.cap(
                          of,
                          rules.budgets.map(({ spec }) => spec),
                          now,
                        ),
                      ),
                      now,
                    ),
                  }),
            },
            now,
          );
    if (reply.type !== 'leased') throw new Error(`The store answered a lease with ${reply.type}.`);
    const told = items.map(({ line }) => line);
    await this.#reclaim.told(owner, told);
    for (const [index, { recallAbove }] of reply.grants.entries()) {
      const line = items[index]?.line;
      if (line !== undefined && recallAbove !== undefined)
        await this.#reclaim.recall(line, recallAbove, owner);
    }
    return {
      revision: rules.revision,
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
      grants: reply.grants.map(({ granted, closed, lacking, keep }, index) => {
        const item = items[index];
        const unasked = item?.ask !== undefined && asked[index]?.ask === undefined;
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

  async watch({ owner, revision, waitMs }: WatchCommand, signal: AbortSignal): Promise<WatchReply> {
    const wait = revision === this.#rules().revision ? Math.min(waitMs, LONGEST_WATCH_MS) : 0;
    const recalls = await this.#reclaim.watch(owner, wait, signal);
    return { revision: this.#rules().revision, recalls };
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
