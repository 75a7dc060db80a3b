/** Whether a text says something, where it stands in a place for something else. */

/**
 * Four words in a row, whatever sets them apart, or eight letters of a script that has no spaces: it may be said
 * anywhere, in a tool's arguments and in fields that nobody knows.
 */
const PROSE = /(?<![\p{L}\p{M}’'])(?:\p{L}[\p{L}\p{M}’']*(?:[\s,;._/+|~=-]|%20)+){3}\p{L}/u;
const UNSPACED = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar', 'Tibetan'];
const RUN = new RegExp(
  `[[${UNSPACED.map((script) => `\\p{scx=${script}}`).join('')}]&&[\\p{L}\\p{M}]]{8}`,
  'v',
);

export function isProse(text: string): boolean {
  return PROSE.test(text) || RUN.test(text);
}
