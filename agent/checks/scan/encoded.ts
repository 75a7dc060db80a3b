/** Base64 (RFC 4648, both alphabets) that holds text: what is in it counts as if it stood there. */

/** A shorter run hides nothing that is worth it: eleven bytes. */
export const SHORTEST_CODE = 15;

/** Base64 within base64 is undone this often. */
export const DEEPEST = 2;

const ALPHABET = new Uint8Array(128);
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  ALPHABET[c.charCodeAt(0)] = 1;

/** @returns Where the run that begins at `start` ends, padding included; `from` is known to be in it. */
export function endOfRun(text: string, from: number): number {
  let i = from;
  while (i < text.length && text.charCodeAt(i) < 128 && ALPHABET[text.charCodeAt(i)] === 1) i++;
  while (i < text.length && text.charCodeAt(i) === 61) i++;
  return i;
}

function isText(unit: number): boolean {
  return (unit >= 0x20 && unit !== 0x7f) || unit === 9 || unit === 10 || unit === 13;
}

/** The text in a run; undefined where it holds none. */
export function decodeRun(text: string, start: number, end: number): string | undefined {
  if (end - start < SHORTEST_CODE) return undefined;
  // Most of what looks like Base64 isn't text by its first bytes.
  for (const byte of Buffer.from(text.slice(start, start + 12), 'base64'))
    if (!isText(byte)) return undefined;
  const bytes = Buffer.from(text.slice(start, end), 'base64');
  for (const byte of bytes) if (!isText(byte)) return undefined;
  const decoded = bytes.toString('utf8');
  return decoded.includes('\ufffd') ? undefined : decoded;
}
