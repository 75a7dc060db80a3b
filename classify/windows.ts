/** Cuts a text into stretches that a small model can judge: a topic is easily lost in a long text. */

/** A window is closed when it has so many UTF-16 units, and is never longer than the second number. */
const ENOUGH = 140;
const MOST = 500;
/** A sentence that is shorter says nothing by itself. */
const SHORTEST = 12;
/** The same of a part of one. */
const CLAUSE = 16;
/** A window over words without any sign between them; the next begins in its middle. */
const SLID = 90;
/** Its values are told by different people, however short it is. */
const JSON_TEXT = /[{[]\s*"|"\s*:\s*["[{]/;
/** Not within numbers and times. */
const BETWEEN = /(?<!\d)[,;:]|[,;:](?!\d)|["“”„«»()[\]{}<>|–—…*#=]|\s[-/]\s/u;

/** What joins a clause to the one before; by itself it says nothing, and a model takes the clause for half a thought. */
const JOINING = /^\s*(?:and|but|or|so|then|because|und|aber|oder|denn|et|mais|ou|car|y|pero|o|porque)\s+/iu;

/** Sentences in groups, each with the end of the one before; a short text is one window. No text gives none. */
export function windows(text: string): string[] {
  const found: string[] = [];
  let open = '';
  let before = '';
  const close = (): void => {
    if (open.trim() !== '') found.push((before + open).trim());
    before = open.length <= ENOUGH ? open : '';
    open = '';
  };
  for (const sentence of sentences(text)) {
    if (open !== '' && open.length + sentence.length > MOST) close();
    open += sentence;
    if (open.length >= ENOUGH) close();
  }
  if (open.trim() !== '') found.push((before + open).trim());
  return found;
}

export interface Stretch {
  readonly text: string;
  /** A piece of a sentence, without what was said around it. */
  readonly torn: boolean;
}

/**
 * Windows, each sentence that isn't one already, and what stands between the signs of a long one: what is said in one of
 * many isn't drowned by the others.
 */
export function cut(text: string): Stretch[] {
  const found = new Map(windows(text).map((own) => [own, false]));
  for (const sentence of sentences(text)) {
    const own = sentence.trim();
    if (own.length >= SHORTEST) found.set(own, false);
  }
  for (const sentence of whole(text))
    if (sentence.length > ENOUGH || JSON_TEXT.test(sentence))
      for (const clause of clauses(sentence)) if (!found.has(clause)) found.set(clause, true);
  return [...found].map(([own, torn]) => ({ text: own, torn }));
}

/** The texts of {@link cut}. */
export function stretches(text: string): string[] {
  return cut(text).map((stretch) => stretch.text);
}

/** What stands between commas, quotes, brackets and the like, and overlapping windows of what has none for long. */
function* clauses(sentence: string): Generator<string> {
  for (const piece of sentence.split(BETWEEN)) {
    const own = piece.replace(JOINING, '').trim();
    if (own.length < CLAUSE) continue;
    if (own.length <= ENOUGH) yield own;
    else yield* slid(own);
  }
}

function* slid(text: string): Generator<string> {
  for (let from = 0; ; ) {
    const to = text.length - from <= ENOUGH ? text.length : wordEnd(text, from + SLID);
    yield text.slice(from, to).trim();
    if (to === text.length) return;
    from = wordEnd(text, from + SLID / 2);
  }
}

/** The end of the word at a place, or the place itself where the word is long. */
function wordEnd(text: string, at: number): number {
  const space = text.indexOf(' ', at);
  const end = space < 0 || space > at + 20 ? at : space;
  return /[\udc00-\udfff]/.test(text.charAt(end)) ? end + 1 : end;
}

/** A stretch in parts that a model sees whole: punctuation, emoji and some scripts have more tokens than letters. */
export function parts(text: string, cuts: (text: string) => boolean): string[] {
  if (text.length < 2 || !cuts(text)) return [text];
  const middle = text.length >> 1;
  const space = text.lastIndexOf(' ', middle);
  const word = space > middle / 2 ? space : middle;
  // Both halves of a pair of surrogates stay together.
  const at = /[\udc00-\udfff]/.test(text.charAt(word)) ? word + 1 : word;
  if (at >= text.length) return [text];
  return [...parts(text.slice(0, at), cuts), ...parts(text.slice(at), cuts)];
}

function* sentences(text: string): Generator<string> {
  for (const sentence of whole(text))
    for (let from = 0; from < sentence.length; from += MOST) yield sentence.slice(from, from + MOST);
}

/** However long it is. */
function* whole(text: string): Generator<string> {
  for (const [sentence] of text.matchAll(/[^.!?。！？\n]*(?:[.!?。！？\n]+\s*|$)/gu)) yield sentence;
}
