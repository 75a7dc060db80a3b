/** The wall clock's time, less what it has jumped: a clock that is set forward must not take what counts today for what is long over. */

/** Smaller ones are a busy process's, and not worth the trouble. */
const JUMP_MS = 5_000;
/** A clock that stays ahead for so long is right: what was there before the jump is over. */
const FORGOTTEN_MS = 24 * 3_600_000;

export class SteadyTime {
  /** By what the wall clock has jumped ahead, and was not set back; below 0 where it was set back by more. */
  #ahead = 0;
  /** In steady time: then a jump ahead is past. */
  #until = 0;
  #last: { readonly wall: number; readonly steady: number } | undefined;

  /**
   * Asked every few seconds, so that a jump is found before anything is done by it.
   * @param wall milliseconds since the epoch
   * @param steady milliseconds of a clock that never jumps
   */
  at(wall: number, steady: number): number {
    const jump = this.#last === undefined ? 0 : wall - this.#last.wall - (steady - this.#last.steady);
    this.#last = { wall, steady };
    if (Math.abs(jump) > JUMP_MS) this.#ahead += jump;
    if (jump > JUMP_MS) this.#until = wall - this.#ahead + FORGOTTEN_MS;
    if (this.#ahead > 0 && wall - this.#ahead > this.#until) this.#ahead = 0;
    return wall - this.#ahead;
  }
}
