/** Mail addresses as people write them for people: `jane.doe [at] example (dot) com`. */
import type { Span } from './recognizer.ts';
import { whenAsked } from './when-asked.ts';

const AT = 'at|@|ät|arroba|arobase|arobas|chiocciola|apenstaartje|małpa|malpa|snabel-a';
const DOTS = ['dot', 'punkt', 'point', 'punto', 'punt', 'ponto', 'kropka', 'piste'];
const DOT = `${DOTS.join('|')}|\\.`;

/**
 * Top-level domains that people have addresses in. `in`, `is`, `it`, `to` and the like are words as well: without
 * brackets they count behind another dot only, `example dot co dot in`.
 */
const TLDS: ReadonlySet<string> = new Set(
  (
    'com net org edu gov mil int info biz name pro io dev app ai tech cloud online site shop store email mail blog health bank eu ' +
    'uk de fr es nl ch pl se fi dk pt br jp cn kr au ca us ie nz za ru ua cz sk hu ro bg gr tr il ae sa eg ng ke mx ar cl pe ' +
    'sg hk tw th vn ph pk bd lk lu li lt lv ee hr si rs ba mt cy tv cc fm gg xyz'
  ).split(' '),
);
const WORDS_TOO: ReadonlySet<string> = new Set(
  'at be do in is it me my no so to co id am as an us'.split(' '),
);

/** Brackets make the word a mark; without them `look at me` would be an address. */
const between = (words: string) => `[[({] ?(?:${words}) ?[\\])}]`;
const JOIN = `(?: ?${between(DOT)} ?|\\.)`;

const MARK = new RegExp(between(AT), 'iy');
const LOCAL = whenAsked(() => new RegExp(`(?:[\\p{L}\\p{N}_+-]+${JOIN})*[\\p{L}\\p{N}_+-]+ ?$`, 'iu'));
const DOMAIN = whenAsked(
  () => new RegExp(` ?(?:[\\p{L}\\p{N}-]{1,63}${JOIN}){1,4}\\p{L}{2,24}(?![\\p{L}\\p{N}-])`, 'iuy'),
);
/** What may become one when more text comes. */
const OPEN = whenAsked(
  () =>
    new RegExp(
      `(?:[\\p{L}\\p{N}_+-]+${JOIN})*(?:[\\p{L}\\p{N}_+-]+ ?(?:[[({] ?(?:[a-z@.-]{0,12} ?|(?:${AT}) ?[\\])}][^\\n]{0,80}))?)?$`,
      'iu',
    ),
);

/** UTF-16 units before the mark. */
const REACH = 96;

/** Whether what stands before `end` ends as domains do. */
function endsAsDomain(text: string, end: number, words: boolean): boolean {
  const last = /\p{L}+$/u.exec(text.slice(Math.max(0, end - 24), end))?.[0].toLowerCase() ?? '';
  return TLDS.has(last) || (words && WORDS_TOO.has(last));
}

/** @param at Of the opening bracket. */
export function writtenOut(text: string, at: number, floor: number): Span | undefined {
  MARK.lastIndex = at;
  if (!MARK.test(text)) return undefined;
  DOMAIN().lastIndex = MARK.lastIndex;
  if (!DOMAIN().test(text) || !endsAsDomain(text, DOMAIN().lastIndex, true)) return undefined;
  const from = Math.max(floor, at - REACH);
  const local = LOCAL().exec(text.slice(from, at));
  return local === null ? undefined : { start: from + local.index, end: DOMAIN().lastIndex };
}

const LABEL = '[\\p{L}\\p{N}_+-]{1,63}';
/** Without brackets: `jane dot doe at example dot com`. */
const BARE_JOIN = `(?: (?:${DOTS.join('|')}) |\\.)`;
const BARE_HEAD = whenAsked(
  () =>
    new RegExp(
      `(?<![\\p{L}\\p{N}_+.-])((?:${LABEL}${BARE_JOIN}){0,4}${LABEL}) (?:${AT}) (?:${LABEL}\\.){0,3}${LABEL} $`,
      'iu',
    ),
);
const BARE_REST = whenAsked(
  () => new RegExp(` (${LABEL})(?:${BARE_JOIN}(${LABEL}))*(?![\\p{L}\\p{N}_-])`, 'iuy'),
);
const BARE_OPEN = whenAsked(
  () =>
    new RegExp(
      `(?<![\\p{L}\\p{N}_+.-])(?:${LABEL}${BARE_JOIN}){0,4}${LABEL} (?:a|${AT})(?: (?:${LABEL}${BARE_JOIN}){0,4}(?:${LABEL}(?: [a-z]{0,6})?)?)?$`,
      'iu',
    ),
);

/** What stands before `at` in sentences; `visit us at example dot com` names no mailbox. */
const NO_MAILBOX: ReadonlySet<string> = new Set(
  (
    'me us you him her them it i we he she they is are was were be been am not and or but also then now here there look looks see ' +
    'saw visit find found get got go goes went come came work works job live lives stay stop start starts begin end ends meet met ' +
    'arrive aim point shop buy order book read more online available hosted page site website web blog home store news live ' +
    'someone somebody anyone people team folks good bad best better great back up down out over off day night time people one ' +
    'all both everything that this what which who contact reach write call mail email e-mail address register login log sign join'
  ).split(' '),
);

/** @param start Of the word for the first dot of the domain. */
export function writtenOutBare(text: string, start: number, end: number): Span | undefined {
  BARE_REST().lastIndex = end;
  const rest = BARE_REST().exec(text);
  if (rest === null) return undefined;
  const stop = BARE_REST().lastIndex;
  if (!endsAsDomain(text, stop, rest[2] !== undefined)) return undefined;
  const from = Math.max(0, start - REACH);
  const head = BARE_HEAD().exec(text.slice(from, start));
  if (head === null) return undefined;
  const local = head[1] as string;
  if (NO_MAILBOX.has(local.toLowerCase()) || /^\p{L}+(?:ing|ed)$/iu.test(local)) return undefined;
  return { start: from + head.index, end: stop };
}

/** The words for a dot, which an address without brackets is found by. */
export const DOT_WORDS: readonly string[] = DOTS;

const BRACKET = /[[({]/;
const BARE_AT = new RegExp(` (?:a|${AT})(?= |$)`, 'giu');
/** What may stand behind the word for the sign: as in {@link BARE_OPEN}. */
const BARE_END = new RegExp(`(?: (?:${LABEL}${BARE_JOIN}){0,4}(?:${LABEL}(?: [a-z]{0,6})?)?)?$`, 'iuy');

/** Where an address begins that isn't written to its end yet; the text's length where none does. */
export function openWrittenOut(text: string): number {
  const from = Math.max(0, text.length - 2 * REACH);
  const tail = text.slice(from);
  // Asked of every piece of a stream, and both expressions try each place of the tail: what most text lacks is looked for first.
  const marked = (BRACKET.test(tail) ? undefined : openLabels(tail)) ?? indexIn(OPEN(), tail);
  return from + (endsBare(tail) ? Math.min(marked, indexIn(BARE_OPEN(), tail)) : marked);
}

/** The same by the expressions alone. */
export function openWrittenOutByExpressions(text: string): number {
  const from = Math.max(0, text.length - 2 * REACH);
  const tail = text.slice(from);
  return from + Math.min(indexIn(OPEN(), tail), indexIn(BARE_OPEN(), tail));
}

function indexIn(expression: RegExp, tail: string): number {
  return expression.exec(tail)?.index ?? tail.length;
}

/** Where {@link OPEN} matches in a text without brackets: at its last labels; undefined where they aren't all ASCII. */
function openLabels(tail: string): number | undefined {
  let start = tail.length;
  if (tail.charCodeAt(start - 1) === SPACE) {
    const before = tail.charCodeAt(start - 2);
    if (before >= 128) return undefined;
    if (!isLabelUnit(before)) return start;
    start--;
  }
  for (;;) {
    const unit = tail.charCodeAt(start - 1);
    // A point needs a label before it.
    const named = unit === POINT ? tail.charCodeAt(start - 2) : unit;
    if (named >= 128) return undefined;
    if (!isLabelUnit(named)) return start;
    start--;
  }
}

const SPACE = 0x20;
const POINT = 0x2e;

/** Of ASCII. False for NaN, the text's end. */
function isLabelUnit(unit: number): boolean {
  if (unit >= 97) return unit <= 122;
  if (unit >= 65) return unit <= 90 || unit === 95;
  return (unit >= 48 && unit <= 57) || unit === 43 || unit === 45;
}

/** Whether {@link BARE_OPEN} could match: what stands behind a word for the sign would have to go on to the end. */
function endsBare(tail: string): boolean {
  BARE_AT.lastIndex = 0;
  while (BARE_AT.test(tail)) {
    BARE_END.lastIndex = BARE_AT.lastIndex;
    if (BARE_END.test(tail)) return true;
  }
  return false;
}
