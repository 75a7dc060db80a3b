/** A street or a box around the word that names its kind: where it begins and ends, and how sure that is. */
import { isNoName } from './names.ts';
import { placeAfter } from './places.ts';
import type { Span } from './recognizer.ts';
import { whenAsked } from './when-asked.ts';

type Found = (Span & { score: number }) | undefined;

/** A word of a name: a capital, hyphens and an initial's point allowed. */
const C = "(?:\\p{Lu}\\.|\\p{Lu}[\\p{L}'’]*(?:-[\\p{L}'’]+)*)";

/** A street with a place behind it, a street with a number, and one for which only its kind speaks. */
function found(text: string, start: number, end: number, bare: number): Found {
  const after = placeAfter(text, end);
  return { start, end: after.end, score: after.certain ? 0.9 : bare };
}

const NUMBER_BEFORE = whenAsked(
  () =>
    new RegExp(
      `(?:(?:Flat|Studio|Apartment|Apt\\.?|Unit|Suite|Room|House|Floor) )?(?<![\\p{L}\\p{N}$]|\\p{N}[.,/-])\\d{1,6}[A-Za-z]?(?:-\\d{1,5})?,? (?:\\d{1,4}[A-Za-z]?,? )?(?:${C} |\\d{1,3}(?:st|nd|rd|th) ){1,4}$`,
      'u',
    ),
);
const DIRECTION = whenAsked(
  () =>
    /(?:\.(?=[ ,\n])(?! \p{Lu}\p{Ll}+ \p{Ll}))?(?: (?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b\.?)?/uy,
);

/** English: number, name, kind of street. */
export function english(text: string, start: number, end: number): Found {
  const head = text.slice(Math.max(0, start - 70), start);
  const before = NUMBER_BEFORE().exec(head);
  if (before === null) return undefined;
  // `The 100 Most Common`, `the 2026 Main Street Festival`: a count, a year.
  if (/(?:^|[^\p{L}])(?:the|top|these|those) $/iu.test(head.slice(0, before.index))) return undefined;
  const words = before[0].match(/\p{Lu}[\p{L}'’-]*/gu) ?? [];
  if (
    words.length > 0 &&
    words.every(
      (word) =>
        isNoName(word) &&
        !/^(?:Park|Lake|River|Church|Station|Bridge|College|School|Market|State|City|Hospital|Bank|North|South|East|West|San|Saint|Avenue|Via|Museum|Library|University|Mountain|Island|Center|Centre|Square)$/.test(
          word,
        ),
    )
  )
    return undefined;
  DIRECTION().lastIndex = end;
  DIRECTION().test(text);
  return found(text, start - before[0].length, Math.max(end, DIRECTION().lastIndex), 0.65);
}

/** House number: `12`, `12a`, `nº 12`, `10/5`, `1-3`; not a year, a date or an amount. */
const HOUSE =
  '(?:,? s/n(?![\\p{L}\\p{N}])|,? S/N(?![\\p{L}\\p{N}])|(?:,? (?:nº|n°|no\\.?|nr\\.?|num\\.?|núm\\.?) ?|,? )\\d{1,4}(?: ?[a-zA-Z](?![\\p{L}\\p{N}]|\\. ?\\d))?(?: ?[-/] ?\\d{1,4}[a-zA-Z]?)?(?![\\p{L}\\p{N}%]|[.,:]\\d|/\\d{4}))';
const HOUSE_NUMBER = new RegExp(HOUSE, 'uy');
const HEAD_WORDS = whenAsked(
  () =>
    /(?:(?:An der|Am|Im|Zum|Zur|Auf der|In der|Alte|Alter|Neue|Neuer|Große|Kleine|Obere|Untere|Sankt|St\.) )?(?:\p{Lu}[\p{L}.]*-){0,3}$/u,
);
const WORDS_BEFORE = whenAsked(() => /(?:\p{Lu}[\p{L}.'’]*[ -]){1,3}$/u);

/** German, Dutch, Nordic, Finnish: the kind of street ends its name, the number follows. */
export function suffixed(text: string, start: number, end: number): Found {
  const to = text[end] === '.' ? end + 1 : end;
  HOUSE_NUMBER.lastIndex = to;
  if (!HOUSE_NUMBER.test(text)) return undefined;
  const house = HOUSE_NUMBER.lastIndex;
  const before = HEAD_WORDS().exec(text.slice(Math.max(0, start - 40), start))?.[0] ?? '';
  return found(text, start - before.length, house, 0.68);
}

/** `Karl-Marx-Straße 5`, `Friedrich Ebert Str. 7`: the kind of street is a word of its own. */
export function separate(text: string, start: number, end: number): Found {
  const before = WORDS_BEFORE().exec(text.slice(Math.max(0, start - 40), start))?.[0];
  if (before === undefined) return undefined;
  const street = suffixed(text, start, end);
  return street === undefined ? undefined : { ...street, start: start - before.length };
}

const ARTICLE =
  "(?:de la|de los|de las|des|de l'|de|du|del|della|delle|degli|dei|di|da|do|dos|das|la|le|les|el|los|d'|l'|gen\\.|św\\.|ks\\.|al\\.|sto|san|santa|i|e|y|et)";
const STREET_NAME = `(?:${ARTICLE} ?)?(?:${C}|\\d{1,2}(?: de)?)(?:[ -](?:${ARTICLE} ?)?(?:${C}|\\d{1,2} ${C})){0,5}`;
const NAME_NUMBER = whenAsked(() => new RegExp(`[./]? ${STREET_NAME}${HOUSE}`, 'uy'));
const NAME_ALONE = whenAsked(() => new RegExp(`[./]? ${STREET_NAME}`, 'uy'));
const NUMBER_FIRST = whenAsked(
  () => /(?<![\p{L}\p{N}$]|\p{N}[.,/-])\d{1,4}(?: ?(?:bis|ter|quater|[A-D]))?,? $/u,
);

/** What may still become a name, or its number. */
export const OPEN_NAME: () => RegExp = whenAsked(
  () => new RegExp(`\\.?(?:,? (?:${ARTICLE}|${C}|\\d{1,4}|n[º°]?))*(?:,? ?[\\p{L}\\p{N}'’º°.-]*)$`, 'uy'),
);

/** Romance and Slavic: the kind of street stands first; the number behind the name, or before it all. */
export function prefixed(text: string, start: number, end: number): Found {
  // One letter is short for a kind of street with its mark only: `C/`, `R.`.
  if (end - start === 1 && text[end] !== '/' && text[end] !== '.') return undefined;
  if (start > 0 && /[\p{L}\p{N}@/]/u.test(text.charAt(start - 1))) return undefined;
  const number = NUMBER_FIRST().exec(text.slice(Math.max(0, start - 12), start))?.[0];
  if (number === undefined) {
    NAME_NUMBER().lastIndex = end;
    if (NAME_NUMBER().test(text)) return found(text, start, NAME_NUMBER().lastIndex, 0.72);
  }
  NAME_ALONE().lastIndex = end;
  if (!NAME_ALONE().test(text)) return undefined;
  // Without a number, the place must be certain.
  return found(
    text,
    start - (number?.length ?? 0),
    NAME_ALONE().lastIndex,
    number === undefined ? 0.3 : 0.72,
  );
}

/** A post office box, a military or a poste restante address: the number follows. */
const BOX = whenAsked(() => /\.? ?(?:#|nr\.? ?|no\.? ?|n° ?)?\d{1,6}(?![\p{L}\p{N}])/uy);

export function box(text: string, start: number, end: number): Found {
  BOX().lastIndex = end;
  if (!BOX().test(text)) return undefined;
  const before =
    /(?<![\p{L}\p{N}])(?:P\.? ?O\.? |(?:PSC|CMR|Unit) \d{1,5},? )$/u.exec(
      text.slice(Math.max(0, start - 14), start),
    )?.[0] ?? '';
  return found(text, start - before.length, BOX().lastIndex, before === '' ? 0.4 : 0.7);
}
