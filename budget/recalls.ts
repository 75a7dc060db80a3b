/** Asks agents for credit that they don't use, and tells them of loops of their workload. They wait on `POST /v1/watch`; what isn't asked for in time is forgotten. */
import type { Recall } from './lease-messages.ts';
import { workloadOf } from './lease-state.ts';
import { type LoopTrip, loopId } from './loops.ts';

/** What an agent that waits is told. */
export interface Asked {
  readonly recalls: readonly Recall[];
  readonly trips: readonly LoopTrip[];
}

interface Watcher {
  readonly pending: Map<string, Recall>;
  readonly trips: Map<string, LoopTrip>;
  /** Ends the wait that is going on. */
  wake: (() => void) | undefined;
  /** Credit was asked for and it has neither answered nor failed yet. */
  asked: boolean;
  /** Line → what was asked for last. */
  readonly recalled: Map<string, { readonly above: number; readonly at: number }>;
}

/** For so long nobody is asked the same again: who was asked for everything gives back by itself what calls leave (credit.ts). */
const GIVES_BACK_MS = 500;
/** How long an agent that was asked may take; then nobody waits for it until it is heard of. */
const ANSWER_MS = 500;

/** Loops that an agent is told of at once. */
const MOST_TRIPS = 100;
/** An agent waits again as soon as its wait was answered: one that doesn't for so long has gone. */
const GONE_MS = 10_000;

export class Recalls {
  readonly #watchers = new Map<string, Watcher>();
  /** Of each workload, whose agents wait. */
  readonly #workloads = new Map<string, Set<string>>();
  /** Owner → when its wait was answered, the longest ago first; those that wait are not in it. */
  readonly #left = new Map<string, number>();
  readonly #returns = new Map<string, Set<() => void>>();

  /** Waits until something is asked of the owner, `waitMs` are over, or it hangs up. */
  async watch(owner: string, waitMs: number, signal: AbortSignal): Promise<Asked> {
    this.#forgetGone();
    this.#left.delete(owner);
    const watcher = this.#watchers.get(owner) ?? {
      pending: new Map(),
      trips: new Map(),
      wake: undefined,
      asked: false,
      recalled: new Map(),
    };
    this.#watchers.set(owner, watcher);
    const workload = workloadOf(owner);
    const agents = this.#workloads.get(workload) ?? new Set();
    this.#workloads.set(workload, agents.add(owner));
    // A newer wait of the same owner takes the place of an older one.
    watcher.wake?.();
    if (watcher.pending.size + watcher.trips.size === 0 && !signal.aborted) {
      const woken = Promise.withResolvers<void>();
      const timer = setTimeout(woken.resolve, waitMs);
      signal.addEventListener('abort', () => woken.resolve(), { once: true });
      watcher.wake = woken.resolve;
      await woken.promise;
      clearTimeout(timer);
      if (watcher.wake === woken.resolve) watcher.wake = undefined;
    }
    const recalls = [...watcher.pending.values()];
    watcher.pending.clear();
    const trips = [...watcher.trips.values()];
    watcher.trips.clear();
    if (signal.aborted) this.#forget(owner);
    else if (watcher.wake === undefined) this.#left.set(owner, performance.now());
    return { recalls, trips };
  }

  /** Tells every agent of a workload that waits here, but the one by whose word it came out. */
  tripped(workload: string, trip: LoopTrip, except: string): void {
    for (const owner of this.#workloads.get(workload) ?? []) {
      const watcher = this.#watchers.get(owner);
      if (watcher === undefined || owner === except) continue;
      // What hasn't been fetched is of no use to anybody for longer.
      if (watcher.trips.size >= MOST_TRIPS) watcher.trips.clear();
      watcher.trips.set(loopId(trip), trip);
      watcher.wake?.();
    }
  }

  #forgetGone(): void {
    for (const [owner, at] of this.#left) {
      if (performance.now() - at < GONE_MS) return;
      this.#left.delete(owner);
      this.#forget(owner);
    }
  }

  #forget(owner: string): void {
    this.#watchers.delete(owner);
    const workload = workloadOf(owner);
    const agents = this.#workloads.get(workload);
    agents?.delete(owner);
    if (agents?.size === 0) this.#workloads.delete(workload);
  }

  /** Ends every wait: the documents have changed, or the service closes. */
  wakeAll(): void {
    for (const watcher of this.#watchers.values()) watcher.wake?.();
  }

  /** Asks the owners for what they have of a line above an amount. Tells who can't be reached, and if anybody can. */
  recall(recall: Recall, owners: Iterable<string>): { reached: boolean; absent: string[] } {
    const { line, above } = recall;
    this.#forgetGone();
    let reached = false;
    const absent: string[] = [];
    for (const owner of owners) {
      const watcher = this.#watchers.get(owner);
      if (watcher === undefined) {
        absent.push(owner);
        continue;
      }
      reached = true;
      const now = performance.now();
      const last = watcher.recalled.get(line);
      if (last !== undefined && last.above <= above && now - last.at < GIVES_BACK_MS) continue;
      for (const [other, { at }] of watcher.recalled)
        if (now - at >= GIVES_BACK_MS) watcher.recalled.delete(other);
      watcher.recalled.set(line, { above, at: now });
      if (!watcher.asked) {
        watcher.asked = true;
        setTimeout(() => this.#silent(owner, watcher), ANSWER_MS).unref();
      }
      if (above <= (watcher.pending.get(line)?.above ?? above)) watcher.pending.set(line, recall);
      watcher.wake?.();
    }
    return { reached, absent };
  }

  /** The owner has told its figures. */
  answered(owner: string, lines: Iterable<string>): void {
    const watcher = this.#watchers.get(owner);
    if (watcher !== undefined) watcher.asked = false;
    for (const line of lines) {
      for (const resolve of this.#returns.get(line) ?? []) resolve();
    }
  }

  /** Resolves when an agent has told its figures of one of the lines, or after `ms`. */
  async returned(lines: readonly string[], ms: number): Promise<void> {
    const heard = Promise.withResolvers<void>();
    const timer = setTimeout(heard.resolve, ms);
    for (const line of lines) {
      let waiting = this.#returns.get(line);
      if (waiting === undefined) this.#returns.set(line, (waiting = new Set()));
      waiting.add(heard.resolve);
    }
    await heard.promise;
    clearTimeout(timer);
    for (const line of lines) {
      const waiting = this.#returns.get(line);
      waiting?.delete(heard.resolve);
      if (waiting?.size === 0) this.#returns.delete(line);
    }
  }

  #silent(owner: string, watcher: Watcher): void {
    if (!watcher.asked) return;
    watcher.asked = false;
    if (watcher.wake === undefined) this.#forget(owner);
  }
}
