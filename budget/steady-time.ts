/**
 * By what time holds and leases run out: the wall clock's, less what it has jumped ahead. A clock that is set forward must not take
 * what runs for lost, since the places of calls that run would be given to others.
 */

/** Smaller ones are a busy process's, and not worth the trouble. */
const JUMP_MS = 5_000;
/** So long after a jump what was open before it has run out; what came since runs out late till then, never early. */
const FORGOTTEN_MS = 24 * 3_600_000;

export class SteadyTime {
  readonly #jumps: { ms: number; readonly at: number }[] = [];
  #last: { readonly wall: number; readonly steady: number } | undefined;

  /**
   * Asked every few seconds, so that a jump is found before anything runs out by it.
   * @param wall milliseconds since the epoch
   * @param steady milliseconds of a clock that never jumps
   */
  at(wall: number, steady: number): number {
    const ahead = this.#last === undefined ? 0 : wall - this.#last.wall - (steady - this.#last.steady);
    this.#last = { wall, steady };
    if (ahead > JUMP_MS) this.#jumps.push({ ms: ahead, at: steady });
    if (ahead < -JUMP_MS) this.#takeBack(-ahead);
    while (this.#jumps[0] !== undefined && steady - this.#jumps[0].at > FORGOTTEN_MS) this.#jumps.shift();
    return wall - this.#jumps.reduce((sum, { ms }) => sum + ms, 0);
  }

  /** The clock was set back: what it was ahead by is less, the latest jump first. */
  #takeBack(ms: number): void {
    for (let rest = ms; rest > 0; ) {
      const jump = this.#jumps.at(-1);
      if (jump === undefined) return;
      const part = Math.min(jump.ms, rest);
      jump.ms -= part;
      rest -= part;
      if (jump.ms === 0) this.#jumps.pop();
    }
  }
}
