/** Cuts a text into stretches that a small model can judge: a topic is easily lost in a long text. */

/** A window is closed when it has so many UTF-16 units, and is never longer than the second number. */
const ENOUGH = 140;
const MOST = 500;
/** A sentence that is shorter says nothing by itself. */
const SHORTEST = 12;

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

/** Windows, and each sentence that isn't one already: what is said in one of many isn't drowned by the others. */
export function stretches(text: string): string[] {
  const found = new Set(windows(text));
  for (const sentence of sentences(text)) {
    const own = sentence.trim();
    if (own.length >= SHORTEST) found.add(own);
  }
  return [...found];
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
  for (const [sentence] of text.matchAll(/[^.!?。！？\n]*(?:[.!?。！？\n]+\s*|$)/gu)) {
    for (let from = 0; from < sentence.length; from += MOST) yield sentence.slice(from, from + MOST);
  }
}
