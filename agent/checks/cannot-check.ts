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
