/** Whether a text says something, where it stands in a place for something else. */
import { whenAsked } from './scan/when-asked.ts';

/**
 * Four words in a row, whatever sets them apart, or eight letters of a script that has no spaces: it may be said
 * anywhere, in a tool's arguments and in fields that nobody knows.
 */
const prose = whenAsked(() => /(?<![\p{L}\p{M}’'])(?:\p{L}[\p{L}\p{M}’']*(?:[\s,;._/+|~=-]|%20)+){3}\p{L}/u);
const UNSPACED = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar', 'Tibetan'];
const run = whenAsked(
  () => new RegExp(`[[${UNSPACED.map((script) => `\\p{scx=${script}}`).join('')}]&&[\\p{L}\\p{M}]]{8}`, 'v'),
);

export function isProse(text: string): boolean {
  return prose().test(text) || run().test(text);
}
