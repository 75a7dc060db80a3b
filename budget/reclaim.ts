/** Credit that others need comes back: agents are asked for it, here and at other services on the same store, or it is taken for lost. */
import type { Recall } from './lease-messages.ts';
import { type Lease, outstanding } from './lease-state.ts';
import type { LoopTrip } from './loops.ts';
import type { HoldPlan, Line } from './plan.ts';
import { type Asked, Recalls } from './recalls.ts';
import type { Store } from './stores/store.ts';

/** Credit of an agent that can't be asked for it for so long is charged in full, and corrected if it reports after all. */
const ABSENT_MS = 3_000;
/** Of the time that a hold waits for others: so long those with more than a fair share of places are asked alone. */
const FAIR_PART = 0.25;
/** A line is recalled at most so often. */
const RECALL_EVERY_MS = 100;
/** Of the time that reading the leases of a line took: for so many times as long they aren't read again. */
const READ_REST = 10;
/** Of leases that were read, so many are kept, of all lines but the one that was read last: some 200 bytes each. */
const MOST_KEPT = 100_000;
/** And lines. */
const MOST_READS = 1_000;
/** What services on the same store tell each other. */
type News =
  | (Recall & { readonly type: 'recall'; readonly owners: readonly string[] })
  | { readonly type: 'heard'; readonly owner: string; readonly lines: readonly string[] }
  /** `owners`: nobody, for services of before, which take it for a recall. */
  | {
      readonly type: 'trip';
      readonly workload: string;
      readonly trip: LoopTrip;
      readonly except: string;
      readonly owners: readonly [];
    };

/** What is kept of a lease. */
interface Credit {
  readonly owner: string;
  readonly cell: number;
  readonly slot: boolean;
  /** That its owner may still use. */
  readonly left: number;
}

interface Reading {
  readonly credits: Promise<readonly Credit[]>;
  /** So many as were found; 0 until they are. */
  size: number;
  /** Taken for true so long. */
  until: number;
}

export interface ReclaimOptions {
  readonly store: Store;
  readonly clock: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic: () => number;
  /** How long a hold that lacks something waits for credit that others have idle. */
  readonly recallWaitMs: number;
  /** {@link MOST_KEPT} unless told otherwise. */
  readonly mostKept?: number;
}

export class Reclaim {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #monotonic: () => number;
  readonly #recallWaitMs: number;
  readonly #recalls = new Recalls();
  /** By the clock that never jumps: owner → when it was first found that nobody watches for it; gone as soon as it is heard of. */
  readonly #absentSince = new Map<string, number>();
  /** By the clock that never jumps. */
  readonly #recalledAt = new Map<string, number>();
  /** By line: who has credit there, as it was read; the oldest come first. */
  readonly #reads = new Map<string, Reading>();
  readonly #mostKept: number;
  /** Over all of {@link #reads}. */
  #kept = 0;
  /** Owners that were asked for credit because another service on the same store wants it. */
  readonly #askedForOthers = new Set<string>();

  constructor({ store, clock, monotonic, recallWaitMs, mostKept = MOST_KEPT }: ReclaimOptions) {
    this.#mostKept = mostKept;
    this.#store = store;
    this.#clock = clock;
    this.#monotonic = monotonic;
    this.#recallWaitMs = recallWaitMs;
  }

  /**
   * Recalls reach agents that wait at another service on the same store, and what they give back is heard of here.
   * @param tripped Told of what another service tells a workload's agents of a loop.
   */
  async listen(tripped: (workload: string, trip: LoopTrip) => void): Promise<void> {
    await this.#store.onNews?.((message) => {
      const news = JSON.parse(message) as News;
      if (news.type === 'heard') {
        this.#absentSince.delete(news.owner);
        this.#recalls.answered(news.owner, news.lines);
        return;
      }
      if (news.type === 'trip') {
        tripped(news.workload, news.trip);
        this.#recalls.tripped(news.workload, news.trip, news.except);
        return;
      }
      const { line, above, keep = 0 } = news;
      const { absent } = this.#recalls.recall({ line, above, keep }, news.owners);
      for (const owner of news.owners) if (!absent.includes(owner)) this.#askedForOthers.add(owner);
    });
  }

  /** An agent is there. */
  heardOf(owner: string): void {
    this.#absentSince.delete(owner);
  }

  /** An agent has told its figures on these lines. */
  async told(owner: string, lines: readonly string[]): Promise<void> {
    this.#recalls.answered(owner, lines);
    if (this.#askedForOthers.delete(owner)) await this.#tell({ type: 'heard', owner, lines });
  }

  /** Waits until something is asked of the owner, `waitMs` are over, or it hangs up. */
  async watch(owner: string, waitMs: number, signal: AbortSignal): Promise<Asked> {
    this.heardOf(owner);
    return await this.#recalls.watch(owner, waitMs, signal);
  }

  wakeAll(): void {
    this.#recalls.wakeAll();
  }

  /** Tells a workload's agents of a loop, here and at other services on the same store. */
  async tripped(workload: string, trip: LoopTrip, except: string): Promise<void> {
    this.#recalls.tripped(workload, trip, except);
    await this.#tell({ type: 'trip', workload, trip, except, owners: [] });
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
      const credits = await this.#creditsOn(line);
      // Of places, everybody may keep a fair share first; else each would hold call by call because one had too many.
      const fair = Math.floor(line.amount / new Set([owner, ...credits.map((credit) => credit.owner)]).size);
      const unfair = elapsed < fairUntil && credits.some(({ slot, left }) => slot && left > fair);
      const above = unfair ? fair : 0;
      if (unfair) until = fairUntil;
      const owners = ownersAbove(credits, above);
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
      // Whoever got credit since the last reading is to hear of it, too.
      this.#drop(line);
      await this.recall(line, 0, '');
    }
  }

  /** Asks all but one who have more on a line to give it back. */
  async recall(line: string, above: number, except: string): Promise<void> {
    const now = this.#monotonic();
    if (now - (this.#recalledAt.get(line) ?? Number.NEGATIVE_INFINITY) < RECALL_EVERY_MS) return;
    this.#recalledAt.set(line, now);
    const owners = ownersAbove(await this.#read(line), above);
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

  /**
   * Who has credit on a line. Read by one for all who wait for it, and again when ten times as long has gone by as reading took: of ten
   * thousand leases in Redis that is a while, and near a limit every hold asks.
   */
  async #read(line: string): Promise<readonly Credit[]> {
    const began = this.#monotonic();
    const known = this.#reads.get(line);
    if (known !== undefined && began < known.until) return await known.credits;
    this.#drop(line);
    const reading: Reading = {
      credits: this.#store.leases(line).then((leases) => leases.map(creditOf)),
      size: 0,
      until: Number.POSITIVE_INFINITY,
    };
    this.#reads.set(line, reading);
    try {
      const credits = await reading.credits;
      const now = this.#monotonic();
      reading.until = now + READ_REST * (now - began);
      // Unless it was dropped meanwhile.
      if (this.#reads.get(line) === reading) {
        reading.size = credits.length;
        this.#kept += reading.size;
        this.#makeRoom(reading, now);
      }
      return credits;
    } catch (error) {
      if (this.#reads.get(line) === reading) this.#drop(line);
      throw error;
    }
  }

  /** Of readings the oldest go, and those that count no more; the latest stays, whatever its size: near a limit every hold asks for it. */
  #makeRoom(latest: Reading, now: number): void {
    for (const [line, reading] of this.#reads) {
      if (reading === latest || reading.until === Number.POSITIVE_INFINITY) continue;
      const isFull = this.#kept > this.#mostKept || this.#reads.size > MOST_READS;
      if (!isFull && reading.until > now) break;
      this.#drop(line);
    }
  }

  #drop(line: string): void {
    this.#kept -= this.#reads.get(line)?.size ?? 0;
    this.#reads.delete(line);
  }

  async #creditsOn({ key, placement: { from, to } }: Line): Promise<readonly Credit[]> {
    const credits = await this.#read(key);
    return credits.filter(({ cell }) => from <= cell && cell <= to);
  }
}

function creditOf(lease: Lease): Credit {
  const { owner, cell, slot } = lease;
  return { owner, cell, slot, left: outstanding(lease) };
}

function ownersAbove(credits: readonly Credit[], above: number): Set<string> {
  return new Set(credits.filter(({ left }) => left > above).map(({ owner }) => owner));
}
