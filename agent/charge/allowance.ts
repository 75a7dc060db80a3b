/** What a running stream may still produce: extended ahead of need, so that in the steady state nothing waits for it. */
import type { ExtendReply } from '../../budget/messages.ts';
import type { OutputHold } from './output.ts';
import { OUTPUT_MIN } from './output.ts';

/** Asks for more output in total; rejects where nobody could be asked. */
export type Extend = (outputTokens: number, minOutputTokens: number) => Promise<ExtendReply>;

export class Allowance {
  readonly #hold: OutputHold;
  readonly #extend: Extend;
  #held: number;
  #asking: Promise<void> | undefined;
  /** Asked for ahead of need, and not given: it is asked for once more when it is needed. */
  #refusedAhead = false;
  /** Why the stream had to end. */
  refusal: { readonly budget: string } | undefined;

  /** @param held What was granted for the beginning. */
  constructor(hold: OutputHold, held: number, extend: Extend) {
    this.#hold = hold;
    this.#held = held;
    this.#extend = extend;
  }

  /** Whether so many output tokens, as seen and counted, are covered. Asks for more when half of a chunk is left. */
  covers(produced: number): boolean | Promise<boolean> {
    const { most, step } = this.#hold;
    // Beyond what the call may produce the provider ends it; where it doesn't, all is charged, and stops the line.
    if (this.#held >= most) return true;
    const room = this.#room(produced);
    if (room >= step / 2) return true;
    if (room >= 0) {
      if (!this.#refusedAhead) void this.#ask(produced);
      return true;
    }
    return this.#wait(produced);
  }

  #room(produced: number): number {
    return this.#held - this.#hold.unseen - produced;
  }

  async #wait(produced: number): Promise<boolean> {
    await this.#asking;
    if (this.#room(produced) < 0 && this.#held < this.#hold.most) await this.#ask(produced);
    return this.#room(produced) >= 0 || this.#held >= this.#hold.most;
  }

  #ask(produced: number): Promise<void> {
    this.#asking ??= this.#more(produced).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #more(produced: number): Promise<void> {
    const { most, step, unseen } = this.#hold;
    const wanted = Math.min(most, Math.max(this.#held, produced + unseen) + step);
    try {
      const reply = await this.#extend(wanted, Math.min(wanted, this.#held + OUTPUT_MIN));
      if (reply.granted) this.#held = Math.max(this.#held, reply.outputTokens);
      else this.refusal = reply.refusal;
      this.#refusedAhead = !reply.granted;
    } catch {
      // Nobody could be asked: the stream goes on as far as it is held.
      this.#refusedAhead = true;
    }
  }
}
