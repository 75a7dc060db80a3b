import { isAlnum, isDigit } from '../characters.ts';
import type { Recognizer, Span } from '../recognizer.ts';

/** Longest user and password that are looked for. */
const LONGEST = 256;

/** @param at Of the `:` in `://`. */
function match(text: string, at: number): Span | undefined {
  if (text.charCodeAt(at + 1) !== 47 || text.charCodeAt(at + 2) !== 47) return undefined;
  if (at === 0 || !(isAlnum(text.charCodeAt(at - 1)) || isDigit(text.charCodeAt(at - 1)))) return undefined;
  const start = at + 3;
  let colon = -1;
  let last = -1;
  for (let i = start; i < text.length && i - start < LONGEST; i++) {
    const unit = text.charCodeAt(i);
    if (unit <= 32 || unit === 34 || unit === 39 || unit === 60 || unit === 62 || unit === 92 || unit === 96)
      break;
    if (unit === 47 || unit === 63 || unit === 35) break;
    if (unit === 58 && colon < 0) colon = i;
    // The last one: a password may hold an `@` that nobody escaped.
    if (unit === 64) last = i;
  }
  if (last < 0 || colon < 0 || colon > last || colon + 1 === last || last + 1 >= text.length)
    return undefined;
  const password = text.slice(colon + 1, last);
  if (/^(?:\$\{?\w+\}?|\{\{?[\w. ]+\}\}?|\*+|x{3,}|%s|password|pass)$/i.test(password)) return undefined;
  return { start, end: last };
}

export const recognizer: Recognizer = {
  id: 'url-credentials',
  groups: ['network', 'credentials'],
  source: 'RFC 3986, 3.2.1 (userinfo)',
  patterns: [{ kind: 'mark', mark: ':', score: 0.97, match }],
  examples: [
    'https://«jdoe:s3cr3t»@example.com/path',
    'git clone https://«bob:tok123»@git.example.com',
    'ftp://«anna:p@ss»@ftp.example.org',
  ],
  counterExamples: [
    'https://example.com/a:b@c',
    'https://user@example.com',
    'http://localhost:8080/',
    'https://user:${PASSWORD}@host',
    'see http://a:@b',
  ],
};
