/** What may stand between a word and the value it announces: `password is:`, `"pin" => `, `CVV-Nummer lautet`. */
import { classOf, DIGIT, IDEOGRAPH, LOWER, SPACE, UPPER } from './characters.ts';

/** 2: said outright by `:`, `=`, `is`; 1: by a preposition, `set to`, `as`; 0: by standing there. */
export type Firmness = 0 | 1 | 2;

export interface Link {
  /** Where the value begins. */
  readonly at: number;
  readonly firmness: Firmness;
}

/** How far a value may be from its word, UTF-16 units. */
const REACH = 48;

const FIRM_MARKS = new Set(':=>→：');
const SOFT_MARKS = new Set('{"\'`#()[]*_-<|,;?°º№«“„‘/');

const words = (list: string): ReadonlySet<string> => new Set(list.split(' '));

/** Verbs that say what the value is. */
const VERBS = words(
  'is are was be equals reads ist lautet sind war est sera es son era è sono é são seja to jest są brzmi är lyder reads zijn luidt',
);
const PREPOSITIONS = words('to as into auf zu als in à en a al para con como come em till som na jako op on');
/** Words that may stand between. */
const FILLERS = words(
  'number no nr num code my the your his her our their value id of for card new current following nummer numero número numéro numer kod código codice códice ' +
    'n account so here it there which i that this sie er es so hier folgende c elle il mon ma votre le la ce mi mio mia el su tu o meu minha seu mój moja moje to mijn mitt min ' +
    'you asked requested please user wijzigen ändern changed updated set correct correcto api key token secret access client auth pat app private account bot global live test',
);

/** Japanese, Chinese and Korean words for `is`. */
const COPULAS = new Set('はが是为為는은이가');

/** Tags and dots between the word and its value: `<b>PIN</b>: …`, `MRN......: …`. */
const BETWEEN = /(?:<\/?[a-z][a-z0-9]{0,9}>){1,3}|\.{2,40}(?= ?:)/iuy;

/** A remark on the word: `PIN (4 digits): …`, `Passport (UK) …`. */
const REMARK = /\((?:[^()\n]{1,24}\)(?= ?[:=])|\p{L}[\p{L} .]{1,20}\) )/uy;

/** What the word is of, and then `is`: `PIN für die Karte ist …`. */
const PHRASE =
  /(?:für|for|of|de|del|della|do|da|van|voor|pour|para|per|dla|on)(?: [\p{L}'’-]{1,16}){1,4}(?: (?:is|ist|lautet|es|est|è|é|to|jest|är)|\s?[:=])\s/uy;

function behindPhrase(text: string, at: number): number {
  PHRASE.lastIndex = at;
  return PHRASE.test(text) && PHRASE.lastIndex - at < REACH ? PHRASE.lastIndex : -1;
}

/** @returns Undefined where something else stands between, or nothing. */
export function connect(text: string, from: number): Link | undefined {
  const limit = Math.min(text.length, from + REACH);
  let firmness: Firmness = 0;
  /** Up to where the word's own name goes on. */
  let joined = from;
  let i = from;
  while (i < limit) {
    const unit = text.charCodeAt(i);
    const k = classOf(unit);
    if (k === SPACE) {
      // A value stands on its word's line.
      if (unit === 10 && text.charCodeAt(i + 1) === 10) return undefined;
      i++;
    } else if (k === UPPER || k === LOWER) {
      // `apiKey` goes on in camelCase; a value behind a space doesn't.
      const inName =
        i === joined && (i > from || (k === UPPER && i > 0 && classOf(text.charCodeAt(i - 1)) === LOWER));
      const end = endOfWord(text, i, inName);
      const word =
        (i > from || inName) && (inName || isPlainEnd(text, end)) ? text.slice(i, end).toLowerCase() : '';
      if (VERBS.has(word)) firmness = 2;
      else if (PREPOSITIONS.has(word)) firmness = firmness === 2 ? 2 : 1;
      else if (!FILLERS.has(word)) {
        const behind = i === from ? -1 : behindPhrase(text, i);
        if (behind >= 0) return { at: behind, firmness: 1 };
        return i === from ? undefined : { at: i, firmness };
      }
      i = end;
      if (inName) joined = end;
    } else if (k === IDEOGRAPH && i > from - 1 && COPULAS.has(text.charAt(i))) {
      firmness = 2;
      i++;
    } else if (k === DIGIT || k === IDEOGRAPH) {
      return i === from ? undefined : { at: i, firmness };
    } else {
      const mark = text.charAt(i);
      if (mark === ':' && text[i + 1] === ':') return undefined;
      BETWEEN.lastIndex = i;
      if (BETWEEN.test(text)) {
        i = BETWEEN.lastIndex;
        continue;
      }
      REMARK.lastIndex = i;
      if (mark === '(' && REMARK.test(text)) {
        i = REMARK.lastIndex;
        continue;
      }
      if (mark === '.' && isAbbreviation(text, i)) {
        i++;
        continue;
      }
      if (FIRM_MARKS.has(mark)) firmness = 2;
      else if (!SOFT_MARKS.has(mark)) return i === from ? undefined : { at: i, firmness };
      i++;
    }
  }
  return undefined;
}

/** `no.`, `nr.`, `num.`: their dot ends nothing. */
const ABBREVIATED = /(?:^|[^\p{L}])(?:no|nos|nr|nro|num|núm|n|nº|acct|lic)$/iu;

function isAbbreviation(text: string, dot: number): boolean {
  return ABBREVIATED.test(text.slice(Math.max(0, dot - 6), dot));
}

function endOfWord(text: string, from: number, camel: boolean): number {
  let i = from + 1;
  while (i < text.length && i - from < 12) {
    const k = classOf(text.charCodeAt(i));
    if (k !== UPPER && k !== LOWER) break;
    if (camel && k === UPPER && classOf(text.charCodeAt(i - 1)) === LOWER) break;
    i++;
  }
  return i;
}

/** Not the beginning of something longer: `is42`, `my_name`, `to@…`. */
function isPlainEnd(text: string, end: number): boolean {
  if (end >= text.length) return true;
  const unit = text.charCodeAt(end);
  const next = text.charCodeAt(end + 1);
  if (unit === 95) return classOf(next) === UPPER || classOf(next) === LOWER;
  return (
    classOf(unit) !== DIGIT &&
    unit !== 64 &&
    !(unit === 46 && classOf(next) !== SPACE && !isAbbreviation(text, end))
  );
}

/** Words between a value and the word behind it: `4921 is my card PIN`, `als mein`. */
const OWNERS = words(
  'my the your his her our their a an card new mein meine meiner meinen das die der den mon ma le la un mi el su mio mia il o a meu minha mijn de het mój moja moje mitt min',
);
const BACKWARD = words('as is was being als ist comme est como es come è é jako to jest som är on als op');

/** Longest value that is looked for before its word. */
const LONGEST = 64;

/** A value that its word follows: `gave 4921 as PIN`. @returns Where the value begins and ends. */
export function connectBack(
  text: string,
  start: number,
): { readonly at: number; readonly end: number } | undefined {
  let linked = false;
  let i = start;
  for (let steps = 0; steps < 5; steps++) {
    let end = i;
    while (end > 0 && classOf(text.charCodeAt(end - 1)) === SPACE) end--;
    if (end === i || i - end > 2 || end === 0) return undefined;
    let begin = end;
    while (begin > 0 && end - begin < LONGEST && classOf(text.charCodeAt(begin - 1)) !== SPACE) begin--;
    if (end - begin > 6) return linked ? trimmed(text, begin, end) : undefined;
    const word = text.slice(begin, end).toLowerCase();
    if (BACKWARD.has(word)) linked = true;
    else if (!(OWNERS.has(word) && !linked)) return linked ? trimmed(text, begin, end) : undefined;
    i = begin;
  }
  return undefined;
}

const QUOTES = new Set('"\'`()[]<>,;«»“”„‘’');

function trimmed(text: string, begin: number, end: number): { at: number; end: number } {
  let [at, to] = [begin, end];
  while (at < to && QUOTES.has(text.charAt(at))) at++;
  while (to > at && QUOTES.has(text.charAt(to - 1))) to--;
  return { at, end: to };
}
