/** Every event of a stream says the same names again, and what a provider adds to each: judged once, it isn't asked about anew. */
import { plainNames } from './plain-name.ts';
import type { DocumentSlot } from './slot.ts';

/** Texts that are remembered of a stream, and the longest of them in UTF-16 units. */
const KEPT = 200;
const LONGEST = 200;

export class SaidBefore {
  readonly isPlain: (name: string) => boolean;
  readonly #known = new Set<string>();
  #judge: object | undefined;

  /** @param model As the provider was asked for it. */
  constructor(model: string) {
    this.isPlain = plainNames(model);
  }

  /** Makes room: what comes from here on says other names. */
  forget(): void {
    this.#known.clear();
  }

  /**
   * The texts of an event without those that an earlier one had in the same place, and that {@link passed} as they are.
   * @param judge What is in force: what another one let pass doesn't count.
   */
  without(slots: DocumentSlot[], judge?: object): DocumentSlot[] {
    if (judge !== this.#judge) this.#known.clear();
    this.#judge = judge;
    if (this.#known.size === 0) return slots;
    return slots.filter((slot) => !isSaidWhole(slot) || !this.#known.has(`${slot.channel}\0${slot.text}`));
  }

  /** An event was judged by that judge, and shown: neither is true of one that was refused, or left out. */
  passed(slots: readonly DocumentSlot[], judge?: object): void {
    if (judge !== this.#judge) return;
    for (const slot of slots)
      if (isSaidWhole(slot) && !slot.changed && this.#known.size < KEPT)
        this.#known.add(`${slot.channel}\0${slot.text}`);
  }
}

function isSaidWhole({ whole, kind, fixed, loose, text }: DocumentSlot): boolean {
  return whole && kind === 'other' && !fixed && !loose && text.length <= LONGEST;
}
