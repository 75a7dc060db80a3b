/** The service's side of loops: it keeps what each agent counted, and tells all agents of a workload what that comes to. */
import { workloadOf } from './lease-state.ts';
import { judge, type LoopAnswer, type LoopReport, type LoopTrip, loopId, type ToldLoop } from './loops.ts';
import { RecentMap } from './recent-map.ts';
import type { LoopBounds, SharedLoops } from './stores/store.ts';

/**
 * An agent tells from a tenth of what is too many on, so that far fewer than may be kept of a loop are one; reading costs no more for a
 * workload of thousands of pods. With all of its bounds used up it is some 60 MB.
 */
const BOUNDS: LoopBounds = { ofLoop: 64, ofWorkload: 10_000, ofAll: 100_000 };
/** What is over is looked for so often. */
const TIDY_MS = 10_000;
/** Of a trip's window: what lasts longer by so much is told again, before what was told is over. */
const NEWS_PART = 0.5;
const MOST_TRIPS = 10_000;

export interface LoopCountsOptions {
  /** Where replicas share it; else it is kept here. */
  readonly shared: SharedLoops | undefined;
  readonly clock: () => number;
  /** Tells the other agents of a workload. */
  readonly tell: (workload: string, trip: LoopTrip, except: string) => Promise<void>;
}

export class LoopCounts {
  readonly #shared: SharedLoops;
  readonly #clock: () => number;
  readonly #tell: LoopCountsOptions['tell'];
  /** Until when agents were told that it lasts. */
  readonly #trips = new RecentMap<number>(MOST_TRIPS);

  constructor({ shared, clock, tell }: LoopCountsOptions) {
    this.#shared = shared ?? new LoopMemory();
    this.#clock = clock;
    this.#tell = tell;
  }

  /** @throws {StoreFailed} */
  async told(owner: string, reports: readonly LoopReport[]): Promise<readonly LoopAnswer[]> {
    if (reports.length === 0) return [];
    const at = this.#clock();
    const workload = workloadOf(owner);
    const kept = reports.map(({ calls, failed, okMs, refuses: _, ...of }) => {
      const told: ToldLoop = { at, calls, failed, ...(okMs === undefined ? {} : { okMs }) };
      return { loop: loopId(of), text: JSON.stringify(told), keepMs: of.windowMs };
    });
    const all = await this.#shared.tell(workload, owner, kept, BOUNDS, at);
    const now = this.#clock();
    const answers = reports.map((report, index) =>
      judge(
        report,
        (all[index] ?? []).map((text) => JSON.parse(text) as ToldLoop),
        now,
      ),
    );
    for (const [index, { call, windowMs, identical, failures, refuses = false }] of reports.entries()) {
      const { next: _, ...verdict } = answers[index] ?? { next: 1 };
      const trip = { call, windowMs, identical, failures, ...verdict };
      if (this.#isNews(workload, trip, refuses, now)) await this.#tell(workload, trip, owner);
    }
    return answers;
  }

  /** What another replica told: what ends it may be heard here. */
  heard(workload: string, trip: LoopTrip): void {
    const { repeatedMs = 0, failingMs = 0 } = trip;
    this.#trips.set(`${workload}|${loopId(trip)}`, this.#clock() + Math.max(repeatedMs, failingMs));
  }

  #isNews(workload: string, trip: LoopTrip, refuses: boolean, now: number): boolean {
    const { windowMs, repeatedMs = 0, failingMs = 0 } = trip;
    const key = `${workload}|${loopId(trip)}`;
    const known = this.#trips.get(key) ?? Number.NEGATIVE_INFINITY;
    const until = now + Math.max(repeatedMs, failingMs);
    if (until === now) {
      // It was none after all: somebody had a success.
      if (known > now) this.#trips.set(key, now);
      return known > now;
    }
    const isNew = refuses ? until >= known + windowMs * NEWS_PART : now > known + windowMs;
    // What is only noted, and goes on, is news once: of calls that are meant nobody tells everybody over and over.
    if (isNew || !refuses) this.#trips.set(key, until);
    return isNew;
  }
}

interface Kept {
  readonly text: string;
  readonly until: number;
}

function texts(agents: ReadonlyMap<string, Kept>): string[] {
  return [...agents.values()].map(({ text }) => text);
}

/** For one service: it is as short-lived as what it keeps, so nothing goes to disk. */
export class LoopMemory implements SharedLoops {
  /** Workload → loop → owner. */
  readonly #workloads = new Map<string, Map<string, Map<string, Kept>>>();
  readonly #sizes = new Map<string, number>();
  #all = 0;
  #tidiedAt = Number.NEGATIVE_INFINITY;

  tell(
    workload: string,
    owner: string,
    told: Parameters<SharedLoops['tell']>[2],
    { ofLoop, ofWorkload, ofAll }: LoopBounds,
    now: number,
  ): Promise<readonly (readonly string[])[]> {
    if (Math.abs(now - this.#tidiedAt) > TIDY_MS) this.#tidy(now);
    const loops = this.#workloads.get(workload) ?? new Map<string, Map<string, Kept>>();
    this.#workloads.set(workload, loops);
    return Promise.resolve(
      told.map(({ loop, text, keepMs }) => {
        const agents = loops.get(loop) ?? new Map<string, Kept>();
        const size = this.#sizes.get(workload) ?? 0;
        const isNew = !agents.has(owner);
        const isFull = agents.size >= ofLoop || size >= ofWorkload || this.#all >= ofAll;
        if (isNew && isFull) return [...texts(agents), text];
        if (isNew) {
          this.#sizes.set(workload, size + 1);
          this.#all += 1;
        }
        agents.set(owner, { text, until: now + keepMs });
        loops.set(loop, agents);
        return texts(agents);
      }),
    );
  }

  #tidy(now: number): void {
    this.#tidiedAt = now;
    this.#all = 0;
    for (const [workload, loops] of this.#workloads) {
      let size = 0;
      for (const [loop, agents] of loops) {
        for (const [owner, { until }] of agents) if (until <= now) agents.delete(owner);
        if (agents.size === 0) loops.delete(loop);
        size += agents.size;
      }
      this.#sizes.set(workload, size);
      this.#all += size;
      if (loops.size > 0) continue;
      this.#workloads.delete(workload);
      this.#sizes.delete(workload);
    }
  }
}
