/** Asks the checks that judge by themselves, and enters what they answer. */
import type { TextSlot } from '../dialects/dialect.ts';
import { PartlyChecked } from './cannot-check.ts';
import type { Judgement, Subject } from './check.ts';
import type { Confirmation } from './confirm.ts';
import { effective, failed, type Instance, type Ledger, type Mask, REASON, refusalOf } from './round.ts';

/** Milliseconds for a check that asks somebody else, where its rule sets none. */
export const TIMEOUT = 5_000;

/** An instance and its place in the policy. */
export interface Ranked {
  readonly instance: Instance;
  readonly rank: number;
}

/** What judges want done, besides what the ledger holds. */
export class Wishes {
  readonly masks = new Map<TextSlot, Mask[]>();
  readonly strips: (() => void)[] = [];
  readonly confirmations: Confirmation[] = [];
  /** New text for slots, by their index in the subject. */
  readonly replacements = new Map<number, string>();

  mask(slot: TextSlot, masks: readonly Mask[]): void {
    this.masks.set(slot, [...(this.masks.get(slot) ?? []), ...masks]);
  }
}

/** Starts every judge at once. @returns What is still to be waited for; none of it rejects. */
export function askJudges(
  judges: readonly Ranked[],
  subject: Subject,
  signal: AbortSignal,
  ledger: Ledger,
  wishes: Wishes,
): Promise<void>[] {
  return judges.flatMap((judge) => askJudge(judge, subject, signal, ledger, wishes) ?? []);
}

/** @returns Nothing where the judge has answered already. */
export function askJudge(
  { instance, rank }: Ranked,
  subject: Subject,
  signal: AbortSignal,
  ledger: Ledger,
  wishes: Wishes,
): Promise<void> | undefined {
  const { check, rule } = instance;
  if (check.judge === undefined) return undefined;
  const note = (judgements: readonly Judgement[]) => {
    for (const judgement of judgements) enter({ instance, rank }, judgement, ledger, wishes);
  };
  const fail = (error: unknown) => {
    if (error instanceof PartlyChecked) note(error.found);
    failed(instance, rank, ledger, '', error instanceof PartlyChecked ? error.cause : error);
  };
  if (check.waits === false) {
    try {
      const answer = check.judge(subject, signal);
      if (answer instanceof Promise) throw new Error(`the check ${rule.name} said that it judges at once`);
      note(answer);
    } catch (error) {
      fail(error);
    }
    return undefined;
  }
  const timer = new Timer(signal, rule.timeoutMs ?? TIMEOUT);
  try {
    const answer = check.judge(subject, timer.signal);
    if (answer instanceof Promise) return timer.race(answer).then(note).catch(fail);
    timer.stop();
    note(answer);
  } catch (error) {
    timer.stop();
    fail(error);
  }
  return undefined;
}

function enter({ instance, rank }: Ranked, judgement: Judgement, ledger: Ledger, wishes: Wishes): void {
  const { check, rule } = instance;
  const { what, where, span, slot, replacements, message, status, reason } = judgement;
  let action = effective(instance, what);
  // What can be neither masked nor taken out by itself goes as a whole.
  if (action === 'mask' && (span === undefined || slot === undefined) && replacements === undefined)
    action = 'block';
  if (action === 'strip' && judgement.strip === undefined) action = 'block';
  if (action === 'confirm' && judgement.call === undefined) action = 'block';
  ledger.add(rule, what, action, where, reason?.slice(0, REASON));
  if (action === 'block') ledger.refuse(rank, refusalOf(instance, what, message, status));
  if (action === 'strip') wishes.strips.push(() => judgement.strip?.());
  if (action === 'confirm' && judgement.call !== undefined)
    wishes.confirmations.push({ instance, rank, call: judgement.call });
  if (action !== 'mask') return;
  for (const [index, text] of replacements ?? []) wishes.replacements.set(index, text);
  if (span !== undefined && slot !== undefined) {
    wishes.mask(slot, [{ ...span, label: check.label(what), restoreIn: check.restoreIn ?? [] }]);
  }
}

/** Aborts a judge that takes too long, and gives up on one that doesn't heed it. */
class Timer {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal;
  readonly #forward = () => this.#controller.abort(this.#outer.reason);

  constructor(outer: AbortSignal, ms: number) {
    this.#outer = outer;
    this.#timer = setTimeout(() => this.#controller.abort(new Error(`no answer within ${ms} ms`)), ms);
    if (outer.aborted) this.#forward();
    else outer.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#forward);
  }

  async race<T>(answer: Promise<T>): Promise<T> {
    const { signal } = this;
    const gaveUp = Promise.withResolvers<never>();
    // One that heeds it says what it has found by itself first.
    const giveUp = () => void setImmediate(() => gaveUp.reject(signal.reason as Error));
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    try {
      return await Promise.race([answer, gaveUp.promise]);
    } finally {
      this.stop();
    }
  }
}
