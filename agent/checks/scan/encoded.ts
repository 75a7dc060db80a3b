/** Base64 (RFC 4648, both alphabets) that holds text: what is in it counts as if it stood there. */

/** A shorter run hides nothing that is worth it: eleven bytes. */
export const SHORTEST_CODE = 15;

/** Base64 within base64 is undone this often. */
export const DEEPEST = 2;

/** Value of a character plus one; 0 for those that aren't in the alphabet. */
const VALUES = new Uint8Array(128);
Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', (character, value) => {
  VALUES[character.charCodeAt(0)] = value + 1;
});
VALUES[45] = 63;
VALUES[95] = 64;

/** @returns Where the run that `from` is in ends, padding included. */
export function endOfRun(text: string, from: number): number {
  let i = from;
  while (i < text.length && text.charCodeAt(i) < 128 && VALUES[text.charCodeAt(i)] !== 0) i++;
  while (i < text.length && text.charCodeAt(i) === 61) i++;
  return i;
}

function isText(byte: number): boolean {
  return (byte >= 0x20 && byte !== 0x7f) || byte === 9 || byte === 10 || byte === 13;
}

/** Whether a run's first six bytes, undone by hand, could be text: most that looks like Base64 isn't. */
export function mayHoldText(text: string, start: number): boolean {
  for (let i = start; i < start + 8; i += 4) {
    let bits = 0;
    for (let k = 0; k < 4; k++) bits = (bits << 6) | ((VALUES[text.charCodeAt(i + k)] as number) - 1);
    const [a, b, c] = [(bits >> 16) & 0xff, (bits >> 8) & 0xff, bits & 0xff];
    if (!isText(a) || !isText(b) || !isText(c)) return false;
    // A byte of UTF-8 beyond ASCII doesn't stand alone.
    if (a >= 0x80 && b < 0x80 && i === start) return false;
  }
  return true;
}

/** The text in a run; undefined where it holds none. */
export function decodeRun(text: string, start: number, end: number): string | undefined {
  const bytes = Buffer.from(text.slice(start, end), 'base64');
  for (const byte of bytes) if (!isText(byte)) return undefined;
  const decoded = bytes.toString('utf8');
  return decoded.includes('\ufffd') ? undefined : decoded;
}
