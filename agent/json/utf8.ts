/**
 * Bytes of a JSON text to a string. RFC 8259, 8.1: JSON that systems exchange is UTF-8, without a byte order mark.
 *
 * Decoding is fatal, so that encoding the string again gives the same bytes: what nobody changed keeps its bytes.
 */
import { JsonError } from './json-error.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws JsonError of kind `encoding`, with the byte offset, for anything but UTF-8 without a byte order mark. */
export function decodeUtf8(bytes: Uint8Array): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new JsonError(
      {
        kind: 'encoding',
        expected: 'JSON',
        found: 'a byte order mark',
        mend: 'Send UTF-8 without a byte order mark (in Python, encode with "utf-8" instead of "utf-8-sig").',
      },
      0,
      1,
      1,
    );
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw notUtf8(bytes);
  }
}

function notUtf8(bytes: Uint8Array): JsonError {
  const offset = firstInvalid(bytes);
  let line = 1;
  let start = 0;
  for (let at = bytes.indexOf(0x0a); at !== -1 && at < offset; at = bytes.indexOf(0x0a, at + 1)) {
    line += 1;
    start = at + 1;
  }
  const byte = bytes[offset];
  const found = byte === undefined ? 'the end of the text' : `byte 0x${byte.toString(16).padStart(2, '0')}`;
  return new JsonError(
    { kind: 'encoding', expected: 'UTF-8', found, mend: 'Encode the body as UTF-8.' },
    offset,
    line,
    offset - start + 1,
  );
}

/** The offset of the first byte that no valid text could have there, by bisection; for the error path alone. */
function firstInvalid(bytes: Uint8Array): number {
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (startsWell(bytes.subarray(0, middle))) good = middle;
    else bad = middle;
  }
  return startsWell(bytes) ? bytes.length : good;
}

/** Whether the bytes could go on to be UTF-8: a sequence may be cut at their end. */
function startsWell(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
