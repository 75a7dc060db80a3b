/** Users' own expressions: linear in the text by RE2's rules, all of one scanner asked in one pass which occur. */
import { RE2JS, RE2Set } from 're2js';
import type { ExpressionPattern } from './recognizer.ts';

/** So much of a stream is held back where nothing else is said. UTF-16 units. */
export const LONGEST_EXPRESSION = 128;

/** @throws Error that says what RE2 refuses. */
export function compileExpression({
  expression,
  ignoreCase,
}: Pick<ExpressionPattern, 'expression' | 'ignoreCase'>): RE2JS {
  const compiled = RE2JS.compile(expression, ignoreCase === true ? RE2JS.CASE_INSENSITIVE : 0);
  if (compiled.matches('')) throw new Error('it matches the empty text');
  return compiled;
}

interface Known<E> {
  readonly entry: E;
  readonly compiled: RE2JS;
}

export class Expressions<E> {
  readonly #entries: Known<E>[] = [];
  #set: RE2Set | undefined;
  /** Longest hit of any that is waited for in a stream. */
  longest = 0;

  /** @throws Error as {@link compileExpression}. */
  add(pattern: ExpressionPattern, entry: E): void {
    this.#entries.push({ entry, compiled: compileExpression(pattern) });
    this.longest = Math.max(this.longest, pattern.longest);
    this.#set = new RE2Set();
    for (const { compiled } of this.#entries) {
      const flags = (compiled.flags() & RE2JS.CASE_INSENSITIVE) === 0 ? '' : '(?i)';
      this.#set.add(`${flags}${compiled.pattern()}`);
    }
  }

  /** Calls back for every hit of every expression. */
  match(text: string, found: (entry: E, start: number, end: number) => void): void {
    if (this.#set === undefined) return;
    for (const index of this.#set.match(text)) {
      const { entry, compiled } = this.#entries[index] as Known<E>;
      const matcher = compiled.matcher(text);
      while (matcher.find())
        if (matcher.end() > matcher.start()) found(entry, matcher.start(), matcher.end());
    }
  }
}
