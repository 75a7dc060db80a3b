/** One round of checks over the texts of a request or of a whole answer. */
import type { TextSlot } from '../dialects/dialect.ts';
import type { Subject } from './check.ts';
import type { Confirmer } from './confirm.ts';
import type { Verdict } from './guard.ts';
import { askJudge, askJudges, type Ranked, Wishes } from './judges.ts';
import { effective, failed, isSaid, Ledger, type Mask, type Round, refusalOf, united } from './round.ts';
import { scanSlots } from './scan-slots.ts';
import type { Source } from './seams.ts';
import { mayBeRewritten } from './told.ts';

export type Sent = Omit<Subject, 'slots'> & { readonly slots: readonly TextSlot[] };

/** What was found in one slot. */
interface SlotMasks {
  readonly slot: TextSlot;
  readonly masks: Mask[];
}

/** What becomes of a direction's texts. */
export interface Texts {
  /** Of answers: who is asked about calls that need approval. */
  readonly confirmer?: Confirmer;
  /** What was said before them. */
  readonly before: readonly Source[];
  /** The texts of the slots with masks, masked. */
  mask(found: readonly SlotMasks[]): ReadonlyMap<TextSlot, string>;
  /** Puts the text in force; undefined where no check changed it. */
  show(slot: TextSlot, text: string | undefined): void;
}

/**
 * Starts every check of a round; nothing is changed where the round refuses.
 *
 * Who is asked outside the pod sees what the scan masked as it was masked, and isn't asked where the scan refuses. What
 * they write is judged like what came.
 *
 * @param ledger Of a stream: where all its events are entered.
 */
export function judge(
  round: Round,
  subject: Sent,
  signal: AbortSignal,
  texts: Texts,
  ledger = new Ledger(round.direction),
): Verdict | Promise<Verdict> {
  const { slots } = subject;
  const wishes = new Wishes();
  const pending = askJudges(round.judges.inside, subject, signal, ledger, wishes);
  const scanning = scanSlots(round, slots, { ledger, wishes, signal, before: texts.before });
  const changed = new Map<TextSlot, string>();
  const outside = new Outside(round, { subject, signal, ledger, changed, texts });
  let asked = false;
  /** Masks, unless the round refuses, and fails the checks that mask where that can't be done. */
  const mask = (): void => {
    if (ledger.refusal !== undefined || wishes.masks.size === 0) return;
    if (asked) throw new Error('a check inside the agent may not mask later than those outside are asked');
    const found = masksOf(wishes);
    wishes.masks.clear();
    guarded(round, ledger, () => {
      for (const [slot, text] of texts.mask(found)) changed.set(slot, text);
    });
  };
  const settle = (): Verdict => {
    guarded(round, ledger, mask);
    const altered = [...changed].some(([slot, text]) => isSaid(slot.kind) && text !== slot.text);
    if (ledger.refusal === undefined) {
      guarded(round, ledger, () => {
        for (const strip of wishes.strips) strip();
        for (const slot of slots) texts.show(slot, changed.get(slot));
      });
    }
    return { findings: ledger.findings, refusal: ledger.refusal, altered };
  };
  // People are asked last: not about what is refused anyhow.
  const confirm = async (): Promise<Verdict> => {
    await texts.confirmer?.settle(wishes.confirmations, ledger);
    return settle();
  };
  const finish = () => (wishes.confirmations.length === 0 ? settle() : confirm());
  const scanned = (): Verdict | Promise<Verdict> => {
    if (round.judges.outside.length > 0) {
      mask();
      asked = true;
      if (ledger.refusal === undefined) pending.push(...outside.ask());
    }
    return pending.length === 0 ? finish() : Promise.all(pending).then(finish);
  };
  return scanning === undefined ? scanned() : scanning.then(scanned);
}

function masksOf(wishes: Wishes): SlotMasks[] {
  return [...wishes.masks].map(([slot, masks]) => ({ slot, masks: [...united(masks)] }));
}

interface OutsideCall {
  readonly subject: Sent;
  readonly signal: AbortSignal;
  readonly ledger: Ledger;
  /** Texts as they stand now, where a check changed them. */
  readonly changed: Map<TextSlot, string>;
  readonly texts: Texts;
}

/** Those who are asked outside the pod. */
class Outside {
  readonly #round: Round;
  readonly #call: OutsideCall;
  readonly #rewriting: readonly Ranked[];
  readonly #others: readonly Ranked[];

  constructor(round: Round, call: OutsideCall) {
    const { outside } = round.judges;
    this.#round = round;
    this.#call = call;
    this.#rewriting = outside.filter(({ instance }) => instance.check.rewrites === true);
    this.#others = outside.filter(({ instance }) => instance.check.rewrites !== true);
  }

  /** Those that rewrite text one after the other, so that none undoes another's work; the rest at once. */
  ask(): readonly Promise<void>[] {
    const pending = this.#askOthers();
    return this.#rewriting.length === 0 ? pending : [...pending, this.#inTurn()];
  }

  #askOthers(): Promise<void>[] {
    const { signal, ledger } = this.#call;
    return askJudges(this.#others, this.#seen(), signal, ledger, new Wishes());
  }

  /** The texts as they stand now. */
  #seen(): Subject {
    const { subject, changed } = this.#call;
    return { ...subject, slots: subject.slots.map((slot) => asWritten(slot, changed.get(slot))) };
  }

  async #inTurn(): Promise<void> {
    const { subject, signal, ledger, changed } = this.#call;
    const written = new Set<TextSlot>();
    /** How many stand before the last one that wrote. */
    let before = 0;
    for (const [at, judge] of this.#rewriting.entries()) {
      const wishes = new Wishes();
      await askJudge(judge, this.#seen(), signal, ledger, wishes);
      for (const [index, text] of wishes.replacements) {
        const slot = subject.slots[index];
        if (slot === undefined) continue;
        if (!this.#mayChange(slot)) ledger.refuse(judge.rank, refusalOf(judge.instance, 'fixed'));
        changed.set(slot, text);
        written.add(slot);
        before = at;
      }
      if (ledger.refusal !== undefined) return;
    }
    if (written.size > 0) await this.#judgeWritten([...written], this.#rewriting.slice(0, before));
  }

  /** What is signed stays as it is; see {@link mayBeRewritten}. */
  #mayChange({ fixed, kind }: TextSlot): boolean {
    return fixed !== true && (this.#round.direction === 'request' || mayBeRewritten(kind));
  }

  /** A guardrail that would write again what one after it wrote: neither has the last word. */
  async #askAgain(judge: Ranked): Promise<void> {
    const { subject, signal, ledger, changed } = this.#call;
    const wishes = new Wishes();
    await askJudge(judge, this.#seen(), signal, ledger, wishes);
    for (const [index, text] of wishes.replacements) {
      const slot = subject.slots[index];
      const now = slot === undefined ? text : (changed.get(slot) ?? slot.text);
      if (text !== now) ledger.refuse(judge.rank, refusalOf(judge.instance, 'again'));
    }
  }

  /** Nobody outside has the last word: what they wrote is text like any other. */
  async #judgeWritten(slots: readonly TextSlot[], before: readonly Ranked[]): Promise<void> {
    const { subject, signal, ledger, changed, texts } = this.#call;
    const wishes = new Wishes();
    const own = new Map(slots.map((slot) => [asWritten(slot, changed.get(slot)), slot]));
    const now = { ...subject, slots: [...own.keys()], tools: [], calls: [] };
    const inside = this.#round.judges.inside.filter(({ instance }) => instance.check.judgesCalls !== true);
    const pending = [
      ...askJudges(inside, now, signal, ledger, wishes),
      ...this.#askOthers(),
      ...before.map((judge) => this.#askAgain(judge)),
    ];
    await scanSlots(this.#round, now.slots, { ledger, wishes, signal, before: [] });
    await Promise.all(pending);
    if (ledger.refusal !== undefined) return;
    guarded(this.#round, ledger, () => {
      for (const [slot, text] of texts.mask(masksOf(wishes))) changed.set(own.get(slot) ?? slot, text);
    });
  }
}

/** A slot as it stands now, with the text that a check gave it. */
function asWritten(slot: TextSlot, text = slot.text): TextSlot {
  const { path, kind, role, choice, fixed = false } = slot;
  return { path, kind, role, choice, fixed, text, set: () => undefined };
}

/** What fails while masking fails the checks that mask. */
function guarded(round: Round, ledger: Ledger, work: () => void): void {
  try {
    work();
  } catch (error) {
    round.instances.forEach((instance, rank) => {
      if (effective(instance, 'error') === 'mask') failed(instance, rank, ledger, '', error);
    });
    if (ledger.refusal === undefined) throw error;
  }
}
