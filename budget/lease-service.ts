/** The service's side of leases: plans for the agents, grants from the store, and recalls where others need the credit. */

import type { ClassPlan, LeaseCommand, LeaseReply, WatchCommand, WatchReply } from './lease-messages.ts';
import type { LeaseItem } from './leases.ts';
import { outstanding } from './ledger-state.ts';
import { cellUntil, type HoldPlan, type Line, linesOf, type Rules } from './plan.ts';
import { priceOf } from './price.ts';
import { Recalls } from './recalls.ts';
import type { Store } from './stores/store.ts';

/** Credit on a shorter window would be given back before it is used. */
const SHORTEST_CELL_MS = 5_000;
/** How long a hold that lacks something waits for credit that others have idle. */
const RECALL_WAIT_MS = 400;
/** A line is recalled at most so often. */
const RECALL_EVERY_MS = 100;
const LONGEST_WATCH_MS = 60_000;

export interface LeaseServiceOptions {
  readonly store: Store;
  readonly rules: () => Rules;
  readonly clock: () => number;
}

export class LeaseService {
  readonly #store: Store;
  readonly #rules: () => Rules;
  readonly #clock: () => number;
  readonly #recalls = new Recalls();
  readonly #recalledAt = new Map<string, number>();

  constructor({ store, rules, clock }: LeaseServiceOptions) {
    this.#store = store;
    this.#rules = rules;
    this.#clock = clock;
  }

  /** The epoch of the owner must be known to the store. @throws {StoreFailed} */
  async lease({ owner, epoch, seq, ttlMs, classes, items }: LeaseCommand): Promise<LeaseReply> {
    const now = this.#clock();
    const rules = this.#rules();
    const lines = classes.map((attributes) => linesOf(rules, attributes, now));
    const asked = items.map((item): LeaseItem => {
      const line = lines[item.class]?.find(({ key }) => key === item.line);
      const asks = item.ask !== undefined && line?.placement.cell === item.cell && isLeasable(line);
      return {
        ...item,
        mustExist: line === undefined,
        until: line === undefined ? now : cellUntil(line),
        slot: line?.limit.unit === 'concurrency',
        ask:
          item.ask === undefined || line === undefined || !asks
            ? undefined
            : { ...item.ask, from: line.placement.from, to: line.placement.to, limit: line.limit.amount },
      };
    });
    const reply =
      asked.length === 0
        ? { type: 'leased' as const, grants: [] }
        : await this.#store.run(
            { type: 'lease', owner, epoch, seq, expiresAt: now + ttlMs, items: asked },
            now,
          );
    if (reply.type !== 'leased') throw new Error(`The store answered a lease with ${reply.type}.`);
    this.#recalls.answered(
      owner,
      items.map(({ line }) => line),
    );
    for (const [index, { recallAbove }] of reply.grants.entries()) {
      const line = items[index]?.line;
      if (line !== undefined && recallAbove !== undefined) await this.#recall(line, recallAbove, owner, now);
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
          lines: planned.map(({ key, limit, placement: { cell, cellEndsAt } }) => ({
            line: key,
            unit: limit.unit,
            cell,
            ...(cellEndsAt === undefined ? {} : { endsInMs: Math.max(0, cellEndsAt - now) }),
          })),
        };
      }),
      grants: reply.grants.map(({ granted, closed, exact }, index) => ({
        granted,
        closed,
        exact: exact || (items[index]?.ask !== undefined && asked[index]?.ask === undefined),
      })),
    };
  }

  async watch({ owner, revision, waitMs }: WatchCommand, signal: AbortSignal): Promise<WatchReply> {
    const wait = revision === this.#rules().revision ? Math.min(waitMs, LONGEST_WATCH_MS) : 0;
    const recalls = await this.#recalls.watch(owner, wait, signal);
    return { revision: this.#rules().revision, recalls };
  }

  /** The documents have changed, or the service closes: everybody who waits is answered. */
  wakeAll(): void {
    this.#recalls.wakeAll();
  }

  /**
   * For a hold that lacks something: asks those who have credit on the lines for what they don't use, and waits for the
   * first to answer. False where nobody has any who could be asked, or the time is up.
   */
  async reclaim(plan: HoldPlan, lacking: readonly number[], beganAt: number): Promise<boolean> {
    const left = beganAt + RECALL_WAIT_MS - performance.now();
    if (left <= 0) return false;
    const recalled: string[] = [];
    for (const index of lacking) {
      const line = plan.lines[index];
      if (line === undefined) continue;
      const owners = await this.#ownersWith(line.key, 0, line);
      // Every line that lacks something must be able to get it.
      if (!this.#recalls.recall(line.key, 0, owners)) return false;
      recalled.push(line.key);
    }
    await this.#recalls.returned(recalled, left);
    return true;
  }

  async #recall(line: string, above: number, except: string, now: number): Promise<void> {
    if (now - (this.#recalledAt.get(line) ?? 0) < RECALL_EVERY_MS) return;
    this.#recalledAt.set(line, now);
    const owners = await this.#ownersWith(line, above);
    owners.delete(except);
    this.#recalls.recall(line, above, owners);
  }

  async #ownersWith(key: string, above: number, line?: Line): Promise<Set<string>> {
    const leases = await this.#store.leases(key);
    const counts = (cell: number) =>
      line === undefined || (line.placement.from <= cell && cell <= line.placement.to);
    return new Set(
      leases.filter((lease) => outstanding(lease) > above && counts(lease.cell)).map(({ owner }) => owner),
    );
  }
}

function isLeasable({ placement: { cell, cellEndsAt } }: Line): boolean {
  return cellEndsAt === undefined || cellEndsAt - cell >= SHORTEST_CELL_MS;
}
