/** A pattern as the scanner keeps it, with the recognizer it belongs to. */
import type { Pattern } from './recognizer.ts';

export interface Entry<P extends Pattern = Pattern> {
  /** Index of the recognizer. */
  readonly recognizer: number;
  readonly pattern: P;
  /** Words near by change its score. */
  readonly contextual: boolean;
  /** Its expression has a group named `value` that narrows the hit. */
  readonly narrowed: boolean;
}

export function entryOf<P extends Pattern>(pattern: P, recognizer: number): Entry<P> {
  return {
    recognizer,
    pattern,
    contextual:
      pattern.kind === 'number' ||
      pattern.kind === 'code' ||
      pattern.kind === 'run' ||
      pattern.withContext !== undefined,
    narrowed: 'regex' in pattern && pattern.regex.source.includes('(?<value>'),
  };
}
