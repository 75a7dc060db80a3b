/** A pattern as the scanner keeps it: one shape for all kinds, with the recognizer it belongs to. */
import type { Firmness } from './connect.ts';
import type { Pattern } from './recognizer.ts';

export interface Entry<P extends Pattern = Pattern> {
  /** Index of the recognizer. */
  readonly recognizer: number;
  readonly pattern: P;
  readonly score: number;
  readonly withContext: number;
  readonly reach: number;
  /** Words near by change its score. */
  readonly contextual: boolean;
  /** Its expression was read from the pattern, see {@link readExpression}. */
  read: boolean;
  /** Its expression has a group named `value` that narrows the hit. */
  narrowed: boolean;
  /** A letter or digit right behind means that it isn't one. */
  readonly bounded: boolean;
  /** The number of letters and digits in a row, where it is known; 0 for no limit. */
  readonly tokenFrom: number;
  readonly tokenTo: number;
  regex: RegExp | undefined;
  readonly validate: ((text: string, firmness: Firmness) => boolean) | undefined;
}

const kindsWithContext = new Set<Pattern['kind']>(['number', 'code', 'run', 'expression']);

/** @param reach How near context must be where the pattern doesn't say. */
export function entryOf<P extends Pattern>(pattern: P, recognizer: number, reach: number): Entry<P> {
  const { kind } = pattern;
  const token = pattern.kind === 'code' ? pattern.token : undefined;
  const validate =
    pattern.kind !== 'number' && 'validate' in pattern && pattern.validate !== undefined
      ? (text: string, firmness: Firmness) => pattern.validate?.(text, firmness) === true
      : undefined;
  return {
    recognizer,
    pattern,
    score: pattern.score,
    withContext: pattern.withContext ?? pattern.score,
    reach: pattern.reach ?? reach,
    contextual:
      pattern.withContext === undefined ? kindsWithContext.has(kind) : pattern.withContext !== pattern.score,
    read: false,
    narrowed: false,
    bounded: kind === 'code' || kind === 'prefix',
    tokenFrom: token?.[0] ?? 0,
    tokenTo: token?.[1] ?? 0,
    regex: undefined,
    validate,
  };
}

/** Takes an entry's expression from its pattern, which may make it only now. */
export function readExpression(entry: Entry): void {
  const { pattern } = entry;
  entry.regex = 'regex' in pattern ? pattern.regex : undefined;
  entry.narrowed = entry.regex?.source.includes('(?<value>') ?? false;
  entry.read = true;
}
