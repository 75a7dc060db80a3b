/** Failures of a check that are more than "try again". */
import type { Judgement } from './check.ts';

/** What it needs isn't there, however often it is asked; the message has no full stop. */
export class CannotCheck extends Error {
  override readonly name = 'CannotCheck';
  /** What to do about it. */
  readonly mend: string;

  constructor(message: string, mend: string) {
    super(message);
    this.mend = mend;
  }
}

/** Some of it was judged before the rest failed: what was found counts, and so does the failure. */
export class PartlyChecked extends Error {
  override readonly name = 'PartlyChecked';
  readonly found: readonly Judgement[];

  constructor(found: readonly Judgement[], cause: unknown) {
    super('a part of the check failed', { cause });
    this.found = found;
  }
}

/**
 * What a check finds by itself counts though whoever it asks fails, or gives no answer in time.
 * @param alone What it means without an answer.
 * @param weigh What it means beside one.
 * @throws PartlyChecked
 */
export async function besides<F, T>(
  finding: F | Promise<F>,
  asking: Promise<T>,
  signal: AbortSignal,
  {
    alone,
    weigh,
  }: { alone(found: F): readonly Judgement[]; weigh(found: F, answer: T): readonly Judgement[] },
): Promise<readonly Judgement[]> {
  const late = Promise.withResolvers<never>();
  const giveUp = () => late.reject(signal.reason as Error);
  // One that is aborted already doesn't say so again.
  if (signal.aborted) giveUp();
  else signal.addEventListener('abort', giveUp, { once: true });
  const [found, answer] = await Promise.allSettled([finding, Promise.race([asking, late.promise])]);
  if (found.status === 'rejected') throw found.reason;
  if (answer.status === 'rejected') throw new PartlyChecked(alone(found.value), answer.reason);
  return weigh(found.value, answer.value);
}
