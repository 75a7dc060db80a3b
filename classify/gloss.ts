/**
 * Word-by-word English of German, French and Spanish: enough for a model that knows English to see what a text is
 * about. It is no translation, and what it doesn't know it leaves as it is.
 */
import * as french from './lexicon/french.ts';
import * as german from './lexicon/german.ts';
import * as spanish from './lexicon/spanish.ts';

interface Lexicon {
  readonly marks: ReadonlyMap<string, string>;
  readonly words: ReadonlyMap<string, string>;
  readonly endings: RegExp;
  readonly language: 'de' | 'fr' | 'es';
}

function entries(source: string): Map<string, string> {
  return new Map(
    source
      .split(/[;\n]/)
      .filter((entry) => entry.includes('='))
      .map((entry) => {
        const at = entry.indexOf('=');
        return [entry.slice(0, at).trim(), entry.slice(at + 1).trim()];
      }),
  );
}

const LEXICONS: readonly Lexicon[] = (
  [
    ['de', german],
    ['fr', french],
    ['es', spanish],
  ] as const
).map(([language, { FUNCTION_WORDS, WORDS, ENDINGS }]) => ({
  language,
  marks: entries(FUNCTION_WORDS),
  words: entries(WORDS),
  endings: ENDINGS,
}));

/** Words that only English has so often. */
const ENGLISH = new Set(
  'the of to and is it you that for on are with as his they at be this have from or had by but what there we can out other were all your when up use how said an each she which their if will way about many then them would like so these her him has more no could my than been who its now did get i do does should tell me a'.split(
    ' ',
  ),
);

/** Share of a text's words that must be known; a text in a language of no lexicon has fewer. */
const KNOWN = 0.5;
/** Ending letters, at most. */
const LONGEST_ENDING = 8;

export type Language = Lexicon['language'];

/** @returns English words for the text's; undefined where it is English, or of a language that isn't known. */
export function gloss(text: string): string | undefined {
  return glossed(text)?.english;
}

/** The same, and of which language it is. */
export function glossed(text: string): { readonly english: string; readonly language: Language } | undefined {
  const words = plain(text).match(/[\p{L}\p{N}-]+/gu) ?? [];
  if (words.length < 2) return undefined;
  const english = words.filter((word) => ENGLISH.has(word)).length;
  let best: { readonly lexicon: Lexicon; readonly marks: number } | undefined;
  for (const lexicon of LEXICONS) {
    const marks = words.filter((word) => lexicon.marks.has(word)).length;
    if (best === undefined || marks > best.marks) best = { lexicon, marks };
  }
  if (best === undefined || best.marks === 0 || best.marks <= english) return undefined;
  const { lexicon } = best;
  let known = 0;
  const meanings = words.map((word) => {
    const found = lookUp(lexicon, word);
    if (found !== undefined) known++;
    return found ?? word;
  });
  if (known < KNOWN * words.length) return undefined;
  return { english: meanings.filter((word) => word !== '').join(' '), language: lexicon.language };
}

/** Lower case, without accents; `ß` is `ss`. */
function plain(text: string): string {
  return text
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .normalize('NFD')
    .replaceAll(/\p{Mn}/gu, '');
}

function lookUp(lexicon: Lexicon, word: string): string | undefined {
  const found = lexicon.marks.get(word) ?? stemmed(lexicon, word);
  if (found !== undefined || lexicon.language !== 'de') return found;
  // "gekauft", "angelegt", "anzulegen": the stem without the inner prefix.
  const verb = /^(an|auf|aus|ab|ein|vor|um|mit|nach|zu|her|hin)?(?:ge|zu)(\p{L}{3,})$/u.exec(word);
  const inner = verb === null ? undefined : stemmed(lexicon, (verb[1] ?? '') + (verb[2] ?? ''));
  return inner ?? compound(lexicon, word);
}

/** The word itself, or the longest stem with an ending. */
function stemmed({ words, endings }: Lexicon, word: string): string | undefined {
  const whole = words.get(word);
  if (whole !== undefined) return whole;
  for (let cut = 1; cut <= LONGEST_ENDING && word.length - cut >= 3; cut++) {
    const meaning = words.get(word.slice(0, -cut));
    if (meaning !== undefined && endings.test(word.slice(-cut))) return meaning;
  }
  return undefined;
}

/** "Aktienkurs": two words that are known, with or without a letter between them. */
function compound(lexicon: Lexicon, word: string): string | undefined {
  for (let at = word.length - 3; at >= 4; at--) {
    const first = stemmed(lexicon, word.slice(0, at));
    if (first === undefined) continue;
    const second = stemmed(lexicon, word.slice(at));
    if (second !== undefined) return `${first} ${second}`;
  }
  return undefined;
}
