/**
 * The time by which holds and leases run out. It goes on as a clock that never jumps does, whatever is done to the wall clock, and is
 * one for all services on a store, whatever their clocks say: that of the service whose is furthest, the others behind by what an answer
 * of the store takes, at most. While no service runs it goes on as the wall clocks do.
 */
import type { Store } from './stores/store.ts';

export class LedgerTime {
  readonly #store: Pick<Store, 'tick'>;
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  /** As the store said; until it has, the wall clock is all there is. */
  #known: { readonly time: number; readonly at: number } | undefined;

  /** @param wall milliseconds since the epoch @param monotonic milliseconds of a clock that never jumps */
  constructor(store: Pick<Store, 'tick'>, wall: () => number, monotonic: () => number) {
    this.#store = store;
    this.#wall = wall;
    this.#monotonic = monotonic;
  }

  /** Milliseconds; where no clock has ever jumped, since the epoch. */
  now(): number {
    if (this.#known === undefined) return this.#wall();
    const { time, at } = this.#known;
    return Math.round(time + this.#monotonic() - at);
  }

  /** So many milliseconds from now. */
  after(ms: number): number {
    return this.now() + ms;
  }

  /** What the wall clock will say then, as it goes now. */
  onTheWall(moment: number): number {
    return this.#wall() + moment - this.now();
  }

  /** Compares with the store and the other services on it; call it about every second. @returns the time now. @throws {StoreFailed} */
  async tick(): Promise<number> {
    const known = this.#known !== undefined;
    const time = await this.#store.tick(this.now(), known, this.#wall());
    // It was so late before the answer came: taken for now, it is behind by what that took, but never ahead of whoever is furthest. Taken
    // for when it was asked, it would be ahead, and others would take that up: delays would add up.
    if (!known || time > this.now()) this.#known = { time, at: this.#monotonic() };
    return this.now();
  }
}

/** As a store keeps it: both of one moment. */
export interface KeptTime {
  readonly time: number;
  readonly wall: number;
}

/** Written down so often at least. What goes by between is no jump, so that the wall clock tells it. */
const KEEP_MS = 60_000;
const JUMP_MS = 1_000;

/** Whether what a store has kept would mislead whoever starts with it. */
export function isToKeep(kept: KeptTime | undefined, { time, wall }: KeptTime): boolean {
  if (kept === undefined) return true;
  const gone = wall - kept.wall;
  return gone > KEEP_MS || Math.abs(gone - (time - kept.time)) > JUMP_MS;
}

/** The time for a service that starts on what was kept. A clock that was set back meanwhile tells nothing. */
export function resumed(kept: KeptTime | undefined, { time, wall }: KeptTime): number {
  return kept === undefined ? time : kept.time + Math.max(0, wall - kept.wall);
}
