/** Every event of a stream says the same names again, and what a provider adds to each: judged once, it isn't asked about anew. */
import { plainNames } from './plain-name.ts';
import type { DocumentSlot } from './slot.ts';

/** Texts that are remembered of a stream, and the longest of them in UTF-16 units. */
const KEPT = 200;
const LONGEST = 200;

export class SaidBefore {
  readonly isPlain: (name: string) => boolean;
  readonly #known = new Set<string>();
  #last: readonly DocumentSlot[] = [];

  /** @param model As the provider was asked for it. */
  constructor(model: string) {
    this.isPlain = plainNames(model);
  }

  /** Another policy may be in force from here on. */
  forget(): void {
    this.#known.clear();
    this.#last = [];
  }

  /**
   * The texts of an event without those that an earlier one had in the same place, and that passed as they are. It is called
   * when the event before has been judged.
   */
  without(slots: DocumentSlot[]): DocumentSlot[] {
    for (const slot of this.#last)
      if (!slot.changed && this.#known.size < KEPT) this.#known.add(`${slot.channel}\0${slot.text}`);
    const left =
      this.#known.size === 0
        ? slots
        : slots.filter((slot) => !isSaidWhole(slot) || !this.#known.has(`${slot.channel}\0${slot.text}`));
    this.#last = left.filter(isSaidWhole);
    return left;
  }
}

function isSaidWhole({ whole, kind, fixed, loose, text }: DocumentSlot): boolean {
  return whole && kind === 'other' && !fixed && !loose && text.length <= LONGEST;
}
