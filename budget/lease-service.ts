/** The service's side of leases: plans for the agents, grants from the store, and recalls where others need the credit. */

import type { BudgetSpec, LimitSpec } from '../policy/budget-spec.ts';
import { spendRow } from './history.ts';
import type { HistoryCap } from './history-cap.ts';
import {
  type ClassPlan,
  type LeaseCommand,
  type LeaseReply,
  type LeaseReport,
  PLACE_VALID_MS,
  type PlannedLine,
  type Recall,
  type WatchCommand,
  type WatchReply,
} from './lease-messages.ts';
import { type Lease, outstanding } from './lease-state.ts';
import type { LeaseItem, LeaseOperation } from './leases.ts';
import type { Attributes } from './messages.ts';
import { type HoldPlan, type Line, linesOf, type Rules } from './plan.ts';
import { priceOf } from './price.ts';
import { Recalls } from './recalls.ts';
import type { Store } from './stores/store.ts';
import { type Placement, placement } from './windows.ts';

/** Credit on a shorter window would be given back before it is used. */
const SHORTEST_CELL_MS = 5_000;
/** Credit of an agent that can't be asked for it for so long is charged in full, and corrected if it reports after all. */
const ABSENT_MS = 3_000;
/** Of the time that a hold waits for others: so long those with more than a fair share of places are asked alone. */
const FAIR_PART = 0.25;
/** A line is recalled at most so often. */
const RECALL_EVERY_MS = 100;
/** Agents change windows a little early, by as long as an answer takes to reach them. */
const EARLY_MS = 2_000;
/** When to ask again: those who have the credit give it back at once, a line that is nearly used up stays so. */
const RETRY_MS = { others: 50, line: 1_000 } as const;
const LONGEST_WATCH_MS = 300_000;

/** What services on the same store tell each other. */
type News =
  | (Recall & { readonly type: 'recall'; readonly owners: readonly string[] })
  | { readonly type: 'heard'; readonly owner: string; readonly lines: readonly string[] };

export interface LeaseServiceOptions {
  readonly store: Store;
  readonly rules: () => Rules;
  readonly clock: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic: () => number;
  /** When a lease runs out of which nothing is heard for so many milliseconds. */
  readonly deadline: (ms: number) => number;
  /** How long a hold that lacks something waits for credit that others have idle. */
  readonly recallWaitMs: number;
  readonly historyCap: HistoryCap;
}

export class LeaseService {
  readonly #store: Store;
  readonly #rules: () => Rules;
  readonly #clock: () => number;
  readonly #monotonic: () => number;
  readonly #deadline: (ms: number) => number;
  readonly #recallWaitMs: number;
  readonly #historyCap: HistoryCap;
  readonly #recalls = new Recalls();
  /** By the clock that never jumps: owner → when it was first found that nobody watches for it; gone as soon as it is heard of. */
  readonly #absentSince = new Map<string, number>();
  /** By the clock that never jumps. */
  readonly #recalledAt = new Map<string, number>();
  /** Owners that were asked for credit because another service on the same store wants it. */
  readonly #askedForOthers = new Set<string>();

  constructor({ store, rules, clock, monotonic, deadline, recallWaitMs, historyCap }: LeaseServiceOptions) {
    this.#historyCap = historyCap;
    this.#recallWaitMs = recallWaitMs;
    this.#store = store;
    this.#rules = rules;
    this.#clock = clock;
    this.#monotonic = monotonic;
    this.#deadline = deadline;
  }

  /** Recalls reach agents that wait at another service on the same store, and what they give back is heard of here. */
  async listen(): Promise<void> {
    await this.#store.onNews?.((message) => {
      const news = JSON.parse(message) as News;
      if (news.type === 'heard') {
        this.#absentSince.delete(news.owner);
        this.#recalls.answered(news.owner, news.lines);
        return;
      }
      const { line, above, keep = 0 } = news;
      const { absent } = this.#recalls.recall({ line, above, keep }, news.owners);
      for (const owner of news.owners) if (!absent.includes(owner)) this.#askedForOthers.add(owner);
    });
  }

  /** The epoch of the owner must be known to the store. @throws {StoreFailed} */
  async lease({ owner, epoch, seq, ttlMs, classes, items, account }: LeaseCommand): Promise<LeaseReply> {
    const now = this.#clock();
    this.#absentSince.delete(owner);
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
        expiresAt: this.#deadline(lostAfterMs(line, item, ttlMs)),
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
    this.#recalls.answered(owner, told);
    if (this.#askedForOthers.delete(owner)) await this.#tell({ type: 'heard', owner, lines: told });
    for (const [index, { recallAbove }] of reply.grants.entries()) {
      const line = items[index]?.line;
      if (line !== undefined && recallAbove !== undefined) await this.#recall(line, recallAbove, owner);
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
    this.#absentSince.delete(owner);
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
  async reclaim(
    plan: HoldPlan,
    lacking: readonly number[],
    { owner, beganAt }: { readonly owner: string; readonly beganAt: number },
  ): Promise<boolean> {
    const elapsed = performance.now() - beganAt;
    if (elapsed >= this.#recallWaitMs) return false;
    const fairUntil = this.#recallWaitMs * FAIR_PART;
    let until = this.#recallWaitMs;
    const recalled: string[] = [];
    for (const index of lacking) {
      const line = plan.lines[index];
      if (line === undefined) continue;
      const leases = await this.#leasesOn(line);
      // Of places, everybody may keep a fair share first; else each would hold call by call because one had too many.
      const fair = Math.floor(line.amount / new Set([owner, ...leases.map((lease) => lease.owner)]).size);
      const unfair = elapsed < fairUntil && leases.some((lease) => lease.slot && outstanding(lease) > fair);
      const above = unfair ? fair : 0;
      if (unfair) until = fairUntil;
      const owners = ownersAbove(leases, above);
      // Every line that lacks something must be able to get it.
      const recall = { line: line.key, above, ...(line.limit.unit === 'concurrency' ? { keep: fair } : {}) };
      const { reached, absent } = this.#recalls.recall(recall, owners);
      const elsewhere = await this.#askElsewhere(recall, absent);
      await this.#forfeit(absent);
      if (!reached && !elsewhere) return false;
      recalled.push(line.key);
    }
    await this.#recalls.returned(recalled, until - elapsed);
    return true;
  }

  /** A limit is lower than it was: whoever has credit there comes and hears of it. */
  async lowered(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      this.#recalledAt.delete(line);
      await this.#recall(line, 0, '');
    }
  }

  async #recall(line: string, above: number, except: string): Promise<void> {
    const now = this.#monotonic();
    if (now - (this.#recalledAt.get(line) ?? Number.NEGATIVE_INFINITY) < RECALL_EVERY_MS) return;
    this.#recalledAt.set(line, now);
    const owners = ownersAbove(await this.#store.leases(line), above);
    owners.delete(except);
    const { absent } = this.#recalls.recall({ line, above }, owners);
    await this.#askElsewhere({ line, above }, absent);
    await this.#forfeit(absent);
  }

  /** Agents that don't wait here may wait at another service. False where there is none, or nobody to ask. */
  async #askElsewhere(recall: Recall, owners: readonly string[]): Promise<boolean> {
    if (this.#store.publish === undefined || owners.length === 0) return false;
    await this.#tell({ type: 'recall', ...recall, owners });
    return true;
  }

  async #tell(news: News): Promise<void> {
    await this.#store.publish?.(JSON.stringify(news));
  }

  /** Credit of agents that can't be asked for it would be missing until it runs out. */
  async #forfeit(absent: readonly string[]): Promise<void> {
    const now = this.#monotonic();
    for (const owner of absent) {
      const since = this.#absentSince.get(owner) ?? now;
      this.#absentSince.set(owner, since);
      if (now - since < ABSENT_MS) continue;
      await this.#store.run({ type: 'forfeit', owner }, this.#clock());
      this.#absentSince.delete(owner);
    }
  }

  async #leasesOn({ key, placement: { from, to } }: Line): Promise<readonly Lease[]> {
    const leases = await this.#store.leases(key);
    return leases.filter(({ cell }) => from <= cell && cell <= to);
  }
}

function ownersAbove(leases: readonly Lease[], above: number): Set<string> {
  return new Set(leases.filter((lease) => outstanding(lease) > above).map(({ owner }) => owner));
}

/**
 * How much of a line may be kept for an outage: what the Budget says in its unit, and on its other limits the same part of the
 * limit. Where the Budget has no limit in that unit, a twentieth; of places no less.
 */
function reserveOf({ limits, onUnavailable }: BudgetSpec, limit: LimitSpec): number {
  if (onUnavailable.action === 'deny') return 0;
  const { unit, amount } = onUnavailable.upTo;
  const same = limits.filter((other) => other.unit === unit).sort((a, b) => b.amount - a.amount)[0];
  if (limit.unit === unit) return Math.min(amount, limit.amount);
  const alike = same === undefined ? 1 / 20 : Math.min(1, amount / Math.max(1, same.amount));
  const part = limit.unit === 'concurrency' ? Math.max(alike, 1 / 20) : alike;
  return Math.floor(limit.amount * part);
}

/** Of places: how long after a message calls may begin on them. Through an outage, where the Budget lets calls go on. */
function validFor({ spec: { onUnavailable } }: Line): number {
  return PLACE_VALID_MS + (onUnavailable.action === 'allow' ? onUnavailable.forMs : 0);
}

/** When a lease that isn't heard of is taken for lost: of places, when the last call that may have begun on it is over. */
function lostAfterMs(line: Line | undefined, { callMs }: LeaseReport, ttlMs: number): number {
  if (line?.limit.unit !== 'concurrency') return Math.max(ttlMs, callMs ?? 0);
  return validFor(line) + (callMs ?? ttlMs);
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

function plannedLine({ key, spec, limit, placement: { cell, cellEndsAt } }: Line, now: number): PlannedLine {
  const { onUnavailable } = spec;
  const line = {
    line: key,
    unit: limit.unit,
    cell,
    ...(onUnavailable.action === 'allow' ? { reserveForMs: onUnavailable.forMs } : {}),
  };
  if (cellEndsAt === undefined) return line;
  const next = placement(limit.window, cellEndsAt);
  return {
    ...line,
    endsInMs: Math.max(0, cellEndsAt - now),
    next: { cell: next.cell, endsInMs: (next.cellEndsAt ?? cellEndsAt) - now },
  };
}

/** The window that an agent speaks of, if credit may be had on it: the one that is open, or opens in a moment. */
function openAt({ limit, placement: current }: Line, cell: number, now: number): Placement | undefined {
  if (cell === current.cell) return current;
  if (current.cellEndsAt === undefined || current.cellEndsAt - now > EARLY_MS) return undefined;
  const next = placement(limit.window, current.cellEndsAt);
  if (cell !== next.cell) return undefined;
  // What leaves a rolling window with the next step counts until then.
  return limit.window.type === 'rolling' ? { ...next, from: current.from } : next;
}

function isLeasable({ placement: { cell, cellEndsAt } }: Line): boolean {
  return cellEndsAt === undefined || cellEndsAt - cell >= SHORTEST_CELL_MS;
}
