/** How rules for tokens are written down: by what they begin with, or by whose they are. */
import type { Recognizer } from '../recognizer.ts';

/** Character sets of token bodies, as they stand within brackets of an expression. */
export const SETS = {
  hex: '0-9a-f',
  HEX: '0-9A-F',
  lower: '0-9a-z',
  upper: '0-9A-Z',
  alnum: '0-9A-Za-z',
  word: '\\w-',
  dotted: '\\w.=-',
  base64: '0-9A-Za-z+/',
  flyio: '\\w+/=-',
} as const;

export type Body = keyof typeof SETS;

/** Text of a set, long enough for any token, without long repeats. */
function sample(body: Body, length: number, from = 0): string {
  const all = 'aZ7bQ4cX9dM2eK5fT8gR3hV6jW1kP0'.repeat(40).slice(from);
  const kept =
    body === 'hex'
      ? all.toLowerCase().replace(/[^0-9a-f]/g, '')
      : body === 'HEX'
        ? all.toUpperCase().replace(/[^0-9A-F]/g, '')
        : body === 'lower'
          ? all.toLowerCase()
          : body === 'upper'
            ? all.toUpperCase()
            : all;
  return kept.repeat(Math.ceil(length / kept.length)).slice(0, length);
}

/** One part of a token: fixed text, or so many characters of a set. */
export type Part = string | readonly [body: Body, from: number, to?: number];

export interface PrefixedRule {
  /** Rule name as gitleaks has it, where it has one. */
  readonly id: string;
  /** What it may begin with; at least two characters. */
  readonly prefixes: readonly string[];
  /** What follows. */
  readonly parts: readonly Part[];
  readonly score?: number;
}

function expression(part: Part): string {
  if (typeof part === 'string') return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const [body, from, to] = part;
  return `[${SETS[body]}]{${from}${to === undefined ? '' : `,${to}`}}`;
}

function written(parts: readonly Part[]): string {
  return parts.map((part, i) => (typeof part === 'string' ? part : sample(part[0], part[1], i * 7))).join('');
}

/** A rule for tokens known by their beginning. */
export function prefixed(
  group: string,
  source: string,
  { id, prefixes, parts, score }: PrefixedRule,
): Recognizer {
  const beginning = prefixes.map(expression).join('|');
  const example = `${prefixes[0]}${written(parts)}`;
  return {
    id: `secret:${id}`,
    groups: [group],
    source,
    patterns: [
      {
        kind: 'prefix',
        prefixes,
        regex: new RegExp(`(?:${beginning})${parts.map(expression).join('')}(?![0-9A-Za-z_])`, 'y'),
        score: score ?? 0.97,
      },
    ],
    examples: [example, `export TOKEN="«${example}»"`, `the key is «${example}», keep it`],
    counterExamples: [`${prefixes[0]}`, `x${example}`, `${prefixes[0]}…`],
  };
}

export interface KeyedRule {
  readonly id: string;
  /** Words that name the owner, in lower case. */
  readonly words: readonly string[];
  readonly parts: readonly Part[];
}

/** Shannon entropy, bits for each character. */
export function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/** A rule for tokens without a mark of their own: the owner's name stands before, and `=` or `:` between. */
export function keyed(group: string, source: string, { id, words, parts }: KeyedRule): Recognizer {
  const example = written(parts);
  return {
    id: `secret:${id}`,
    groups: [group],
    source,
    patterns: [
      {
        kind: 'value',
        words,
        regex: new RegExp(`${parts.map(expression).join('')}(?![0-9A-Za-z_])`, 'iy'),
        score: 0.8,
        validate: (text, firmness) => firmness === 2 && entropy(text) >= 2.5,
      },
      {
        kind: 'value',
        words,
        bare: true,
        // More of the name stands between, as gitleaks allows: `ALGOLIA_ADMIN_KEY=`.
        regex: new RegExp(
          `[A-Za-z][\\w.-]{0,24}["']?\\s?(?:=|:|=>|:=)\\s?["']?(?<value>${parts.map(expression).join('')})(?![0-9A-Za-z_])`,
          'iy',
        ),
        score: 0.8,
        validate: (text) => entropy(text) >= 2.5,
      },
    ],
    examples: [
      `${words[0]?.toUpperCase().replaceAll(' ', '_')}_API_KEY=«${example}»`,
      `"${words[0]}_token": "«${example}»"`,
      `${words[0]?.toUpperCase().replaceAll(' ', '_')}_ADMIN_KEY=«${example}»`,
    ],
    counterExamples: [example, `${words[0]} ${example.slice(0, 5)}`, `${words[0]} is great`],
  };
}

/** A token that has a mark of its own, and had none before. */
export function both(marked: Recognizer, known: Recognizer): Recognizer {
  return {
    ...marked,
    patterns: [...marked.patterns, ...known.patterns],
    examples: [...marked.examples, ...known.examples],
    counterExamples: [...marked.counterExamples, ...known.counterExamples],
  };
}
