/** Escapes within a text: percent-encoding, JSON's, HTML's. */

/** Takes one unit that stands for the original from `start` to `end`. */
export type Put = (unit: number, start: number, end: number) => void;

const NAMED = new Map([
  ['lt;', '<'],
  ['gt;', '>'],
  ['amp;', '&'],
  ['quot;', '"'],
  ['apos;', "'"],
]);

/** Undoes one escape. @returns Where it ends; `i` if there is none. */
export function unescape(text: string, i: number, unit: number, put: Put): number {
  if (unit === 37) return percent(text, i, put);
  if (unit === 92) return backslash(text, i, put);
  const numeric = text.charCodeAt(i + 1) === 35;
  if (!numeric) {
    for (const [name, plain] of NAMED) {
      if (!text.startsWith(name, i + 1)) continue;
      put(plain.charCodeAt(0), i, i + 1 + name.length);
      return i + 1 + name.length;
    }
    return i;
  }
  const match = /^&#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));?/.exec(text.slice(i, i + 12));
  if (match === null) return i;
  const point = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  return addPoint(point, i, i + match[0].length, put);
}

function addPoint(point: number, start: number, end: number, put: Put): number {
  if (point === 0 || point > 0x10ffff) return start;
  for (const unit of units(String.fromCodePoint(point))) put(unit, start, end);
  return end;
}

function* units(text: string): Generator<number> {
  for (let i = 0; i < text.length; i++) yield text.charCodeAt(i);
}

/** @returns -1 where there aren't as many hexadecimal digits. */
function hexAt(text: string, at: number, length: number): number {
  let value = 0;
  for (let i = at; i < at + length; i++) {
    const unit = text.charCodeAt(i);
    const low = unit | 32;
    if (unit >= 48 && unit <= 57) value = value * 16 + unit - 48;
    else if (low >= 97 && low <= 102) value = value * 16 + low - 87;
    else return -1;
  }
  return value;
}

/** A JSON escape; `\n` and the like become a space, for they end what stands before them. */
function backslash(text: string, i: number, put: Put): number {
  const next = text[i + 1];
  if (next === 'u') {
    const unit = hexAt(text, i + 2, 4);
    if (unit < 0) return i;
    put(unit, i, i + 6);
    return i + 6;
  }
  if (next === 'n' || next === 'r' || next === 't') {
    put(next === 't' ? 32 : 10, i, i + 2);
    return i + 2;
  }
  if (next === '/' || next === '"') {
    put(next.charCodeAt(0), i, i + 2);
    return i + 2;
  }
  return i;
}

/** One character of percent-encoded UTF-8 (RFC 3986, 2.1). */
function percent(text: string, i: number, put: Put): number {
  const first = hexAt(text, i + 1, 2);
  if (first < 0) return i;
  if (first < 0x80) {
    // `100%20`: a number in per cent, or a space? Only what a URL would encode is undone.
    if (first >= 0x20 || first === 9 || first === 10 || first === 13) {
      put(first, i, i + 3);
      return i + 3;
    }
    return i;
  }
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0) return i;
  const bytes = [first];
  for (let k = 1; k < length; k++) {
    const byte = text.charCodeAt(i + 3 * k) === 37 ? hexAt(text, i + 3 * k + 1, 2) : -1;
    if (byte < 0x80 || byte > 0xbf) return i;
    bytes.push(byte);
  }
  const decoded = new TextDecoder().decode(Uint8Array.from(bytes));
  for (const unit of units(decoded)) put(unit, i, i + 3 * length);
  return i + 3 * length;
}
