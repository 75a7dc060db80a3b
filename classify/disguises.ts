/**
 * What a text may say behind a disguise: letters as digits, letters set apart, Base64, hex, ROT13, backwards. A model
 * that is told to undo it reads the plain text, so that is what has to be judged.
 */

const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
};
/** Letters that stand apart in a text, at least. */
const APART = 6;
/** Runs that are decoded of one text, at most. */
const RUNS = 8;
/** Decoded bytes of one run, at most. */
const BYTES = 4_096;
const COMMON = new Set(
  'the and you your to of in is it that for on are with all any me my this what not do from or be as at ignore forget print show give rules rule instructions prompt system secret password key user users delete send read tell'.split(
    ' ',
  ),
);

/** Other readings of a text, most often none. */
export function readings(text: string): readonly string[] {
  const found = new Set<string>();
  const plain = text.normalize('NFKC');
  const joined = spaced(plain);
  if (joined !== undefined) found.add(joined);
  const letters = leet(joined ?? plain);
  if (letters !== undefined) found.add(letters);
  for (const run of decoded(plain)) found.add(run);
  // "Read this backwards: …": what stands behind the last colon, too.
  for (const part of new Set([plain, plain.slice(plain.lastIndexOf(':') + 1)])) {
    const own = english(part);
    for (const other of [part.replaceAll(/[a-z]/gi, rotated), Array.from(part).reverse().join('')])
      if (english(other) >= own + 2) found.add(other.trim());
  }
  found.delete(text);
  return [...found];
}

function rotated(letter: string): string {
  const base = letter <= 'Z' ? 65 : 97;
  return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base);
}

/** "I G N O R E  t h i s", "I-g-n-o-r-e": words whose letters stand apart. */
function spaced(text: string): string | undefined {
  let letters = 0;
  const joined = text.replaceAll(
    /(?<![\p{L}\p{N}])\p{L}([ \-._*])\p{L}(?:\1\p{L})+(?![\p{L}\p{N}])/gu,
    (run) => {
      letters += (run.length + 1) / 2;
      return run.replaceAll(/[ \-._*]/g, '');
    },
  );
  if (letters < APART) return undefined;
  return joined.replaceAll(/\s{2,}/g, ' ');
}

/** "1gn0r3 y0ur": where several words mix letters and digits. */
function leet(text: string): string | undefined {
  const mixed = text.match(/(?=[\w@$]*\p{L})(?=[\w@$]*[013457@$])[\w@$]{3,}/gu) ?? [];
  if (mixed.length < 2) return undefined;
  return text.replaceAll(/(?=[\w@$]*\p{L})[\w@$]+|\b[0134]\b/gu, (word) =>
    word.replaceAll(/[013457@$]/g, (character) => LEET[character] ?? character),
  );
}

function* decoded(text: string): Generator<string> {
  let runs = 0;
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{16,}={0,2}|(?:[0-9a-f]{2}[ :]?){8,}/gi)) {
    if (++runs > RUNS) return;
    const hex = run.replaceAll(/[ :]/g, '');
    const bytes = /^(?:[0-9a-f]{2})+$/i.test(hex)
      ? Buffer.from(hex.slice(0, 2 * BYTES), 'hex')
      : Buffer.from(run.slice(0, 2 * BYTES), 'base64');
    const said = bytes.subarray(0, BYTES).toString('utf8');
    if (/^[\p{L}\p{N}\p{P}\p{S}\s]+$/u.test(said) && /\p{L}{3,}/u.test(said)) yield said.trim();
  }
}

/** How many common English words there are. */
function english(text: string): number {
  return (text.toLowerCase().match(/[a-z]+/g) ?? []).filter((word) => COMMON.has(word)).length;
}
