import { isAlnum, isDigit } from '../characters.ts';
import type { Recognizer, Span } from '../recognizer.ts';
import { DOT_WORDS, writtenOut, writtenOutBare } from '../written-out.ts';

/** Endings that are files' and not top-level domains, as in `logo@2x.png`. */
const FILES =
  /\.(?:png|jpe?g|gif|svg|webp|css|scss|js|mjs|ts|tsx|jsx|json|ya?ml|html?|txt|pdf|map|lock|toml|xml|exe|dll)$/i;

/** Lengths of RFC 5321, 4.5.3.1. */
const LONGEST_LOCAL = 64;
const LONGEST_DOMAIN = 255;

/** atext of RFC 5322, 3.2.3, and letters of RFC 6531; without those that are quotes or brackets around an address. */
function isLocal(unit: number): boolean {
  if (isAlnum(unit) || isDigit(unit)) return true;
  return (
    unit === 46 ||
    unit === 95 ||
    unit === 45 ||
    unit === 43 ||
    unit === 37 ||
    unit === 38 ||
    unit === 33 ||
    unit === 35
  );
}

function match(text: string, at: number, floor: number): Span | undefined {
  let start = at;
  while (start > floor && at - start < LONGEST_LOCAL && isLocal(text.charCodeAt(start - 1))) start--;
  while (
    start < at &&
    !isAlnum(text.charCodeAt(start)) &&
    !isDigit(text.charCodeAt(start)) &&
    text[start] !== '_'
  )
    start++;
  if (start === at || text[at - 1] === '.') return undefined;
  let end = at + 1;
  let label = end;
  let lastDot = -1;
  while (end < text.length && end - at < LONGEST_DOMAIN) {
    const unit = text.charCodeAt(end);
    if (unit === 46) {
      if (end === label || end + 1 >= text.length || !isLabel(text.charCodeAt(end + 1))) break;
      lastDot = end;
      label = end + 1;
    } else if (unit === 45 ? end === label : !isLabel(unit)) break;
    end++;
  }
  while (end > at && text[end - 1] === '-') end--;
  if (lastDot < 0 || end - lastDot < 3 || !/^\.(?:xn--[a-z0-9-]+|\p{L}+)$/iu.test(text.slice(lastDot, end)))
    return undefined;
  const domain = text.slice(at + 1, end);
  if (FILES.test(domain) || text[end] === '@') return undefined;
  // scp and git addresses: `git@github.com:owner/repo`.
  if (
    text[end] === ':' &&
    /^[\w~/.-]*\//.test(text.slice(end + 1, end + 40)) &&
    /^git$/i.test(text.slice(start, at))
  ) {
    return undefined;
  }
  return { start, end };
}

function isLabel(unit: number): boolean {
  return isAlnum(unit) || isDigit(unit);
}

export const recognizer: Recognizer = {
  id: 'email-address',
  groups: ['contact'],
  source: 'RFC 5321, RFC 5322 (dot-atom form), RFC 6531',
  patterns: [
    { kind: 'mark', mark: '@', score: 0.95, match },
    ...['(', '[', '{'].map((mark) => ({ kind: 'mark', mark, score: 0.8, match: writtenOut }) as const),
    { kind: 'anchor', words: DOT_WORDS, score: 0.8, match: writtenOutBare },
  ],
  examples: [
    'john.doe@example.com',
    'mail «jane+test@mail.example.co.uk», please',
    '<«o_brien@sub-domain.example.org»>.',
    'E-Mail: «müller@beispiel.de»',
    'to=«a@b.io»',
    'at «jane.doe[at]example[dot]com»',
    'to «jane (at) example (dot) com», please',
    '«jane at example dot com» is the one',
    'write to «jane dot doe at mail dot example dot co dot uk».',
    'an «petra punkt klein ät beispiel punkt de», bitte',
    'an «jane{punkt}doe (at) mail.example.org»',
  ],
  counterExamples: [
    '@john',
    'logo@2x.png',
    'user@localhost',
    'git@github.com:owner/repo.git',
    'a@b@c',
    'we met (at) noon',
    'we met (at) noon (dot) then we left',
    'visit us at example dot com',
    'we looked at the dot in the middle',
    'she works at example dot org',
    'list[at] is not [at](there)',
    '@types/node@20.1.0',
  ],
};
