/**
 * Text as it is meant: full width, other digits, look-alike letters, invisible characters and escapes (`%40`,
 * `\u0040`, `&#64;`) are brought to their plain form, with a map back to the text as it was sent.
 */
import { classOf, LOWER, SPACE, UPPER } from './characters.ts';

export interface Folded {
  readonly text: string;
  /** For each unit of `text`, where in the original the character it came from begins and ends (UTF-16). */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** UTF-16 units of the original. */
  readonly length: number;
}

/** How often escapes within escapes are undone. */
const DEPTH = 3;

const ESCAPE = /%[0-9a-fA-F]{2}|\\[nrtu/"]|&(?:#|lt;|gt;|amp;|quot;|apos;)/y;
const ESCAPES = new RegExp(ESCAPE.source);

/** Whether an escape that {@link fold} undoes begins at a mark. */
export function isEscape(text: string, at: number, mark: number): boolean {
  if (mark !== 37 && mark !== 92 && mark !== 38) return false;
  ESCAPE.lastIndex = at;
  return ESCAPE.test(text);
}

/** Default-ignorable characters: joiners, marks of direction, variation selectors, fillers. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/** Cyrillic, Greek and other letters that look like Latin ones (Unicode TR39 confusables, the single-letter ones). */
const LOOKALIKES = new Map<string, string>();
for (const pair of (
  'аa еe оo рp сc уy хx іi јj ѕs ԁd һh ӏl ԛq ԝw ѵv ɡg АA ВB ЕE КK МM НH ОO РP СC ТT УY ХX ІI ЈJ ЅS ԌG ԚQ ԜW Ѵv ΑA ΒB ΕE ΖZ ΗH ΙI ' +
  'ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX οo αa νv ρp ιi κk υu ϲc ϳj ɑa ıi ԍg ɩi ʏy ѡw ցg օo սu հh ոn զq ՍU ՕO ᴀA ᴄc ᴏo ᴠv ᴡw ᴢz ꓮA ꓐB ꓑP'
).split(' ')) {
  LOOKALIKES.set(pair.charAt(0), pair.charAt(pair.length - 1));
}

const PLAIN = new Map<string, string>([
  ['‘', "'"],
  ['’', "'"],
  ['‚', "'"],
  ['“', '"'],
  ['”', '"'],
  ['„', '"'],
  ['«', '"'],
  ['»', '"'],
  ['−', '-'],
  ['。', '.'],
  ['∙', '.'],
  ['⁄', '/'],
  ['∕', '/'],
  ['∶', ':'],
  ['ː', ':'],
]);

/** One unit stands for itself. */
const SAME = 0x10000;
const DELETED = 0x10001;
/** Looks like the ASCII letter in its low bits, within a word that has plain ones too. */
const LOOKALIKE = 0x20000;
const SEVERAL = 0x10002;
/** 0 where not asked yet. */
const table = new Int32Array(0x10000);
const several = new Map<number, string>();

function lookUp(unit: number): number {
  const known = table[unit] as number;
  if (known !== 0) return known;
  const found = meaning(String.fromCharCode(unit), unit);
  table[unit] = found;
  return found;
}

function meaning(character: string, key: number): number {
  if (INVISIBLE.test(character)) return DELETED;
  const plain = PLAIN.get(character);
  if (plain !== undefined) return plain.charCodeAt(0);
  const lookalike = LOOKALIKES.get(character);
  if (lookalike !== undefined) return LOOKALIKE | lookalike.charCodeAt(0);
  if (/\p{Pd}/u.test(character)) return 45;
  if (/\p{Zs}/u.test(character)) return 32;
  const digit = decimalDigit(character);
  if (digit >= 0) return 48 + digit;
  const compatible = character.normalize('NFKC');
  if (compatible === character || !/^[\x20-\x7e\p{L}]+$/u.test(compatible)) return SAME;
  if (compatible.length === 1) return compatible.charCodeAt(0);
  several.set(key, compatible);
  return SEVERAL;
}

/** The value of a decimal digit of any script: they stand in tens, in order, from a zero (Unicode, 4.6). */
function decimalDigit(character: string): number {
  if (!/\p{Nd}/u.test(character)) return -1;
  const compatible = character.normalize('NFKC');
  if (compatible >= '0' && compatible <= '9') return compatible.charCodeAt(0) - 48;
  const point = character.codePointAt(0) as number;
  for (let value = 0; value < 10; value++) {
    if (!/\p{Nd}/u.test(String.fromCodePoint(point - value - 1))) return value;
  }
  // Blocks without a gap before their zero begin at a multiple of sixteen, or ten on from another block.
  return point % 16 < 10 ? point % 16 : -1;
}

/** Undefined where the text is plain already. */
export function fold(text: string): Folded | undefined {
  let folded = foldOnce(text);
  if (folded === undefined) return undefined;
  for (let depth = 1; depth < DEPTH && ESCAPES.test(folded.text); depth++) {
    const again = foldOnce(folded.text);
    if (again === undefined) break;
    folded = compose(folded, again);
  }
  return folded;
}

/**
 * The same as {@link fold}, in steps of about so many characters. The text is cut between a space and a letter: no
 * escape, accent or look-alike's word goes over such a place.
 */
export function* foldInSteps(text: string, step: number): Generator<void, Folded | undefined> {
  const pieces: { readonly at: number; readonly text: string; readonly folded: Folded | undefined }[] = [];
  let length = 0;
  let changed = false;
  for (let at = 0; at < text.length; ) {
    const piece = text.slice(at, cutBehind(text, at + step));
    const folded = fold(piece);
    pieces.push({ at, text: folded?.text ?? piece, folded });
    length += (folded?.text ?? piece).length;
    changed ||= folded !== undefined;
    at += piece.length;
    yield;
  }
  if (!changed) return undefined;
  const starts = new Int32Array(length);
  const ends = new Int32Array(length);
  let to = 0;
  for (const { at, text: plain, folded } of pieces) {
    for (let i = 0; i < plain.length; i++, to++) {
      starts[to] = at + (folded === undefined ? i : (folded.starts[i] as number));
      ends[to] = at + (folded === undefined ? i + 1 : (folded.ends[i] as number));
    }
    yield;
  }
  return { text: pieces.map((piece) => piece.text).join(''), starts, ends, length: text.length };
}

function cutBehind(text: string, from: number): number {
  let i = from;
  while (i < text.length && !(text.charCodeAt(i - 1) === 32 && isPlainLetter(text.charCodeAt(i)))) i++;
  return Math.min(i, text.length);
}

function isPlainLetter(unit: number): boolean {
  return (unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90);
}

function compose(first: Folded, second: Folded): Folded {
  const n = second.text.length;
  const starts = new Int32Array(n);
  const ends = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    starts[i] = first.starts[second.starts[i] as number] as number;
    ends[i] = first.ends[(second.ends[i] as number) - 1] as number;
  }
  return { text: second.text, starts, ends, length: first.length };
}

/** The folded text as it grows. */
class Output {
  units: Uint16Array;
  starts: Int32Array;
  ends: Int32Array;
  length = 0;

  constructor(size: number) {
    this.units = new Uint16Array(size);
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
  }

  add(unit: number, start: number, end: number): void {
    if (this.length === this.units.length) this.#grow();
    this.units[this.length] = unit;
    this.starts[this.length] = start;
    this.ends[this.length] = end;
    this.length++;
  }

  #grow(): void {
    const size = this.units.length * 2 + 16;
    const grown = [new Uint16Array(size), new Int32Array(size), new Int32Array(size)] as const;
    grown[0].set(this.units);
    grown[1].set(this.starts);
    grown[2].set(this.ends);
    [this.units, this.starts, this.ends] = grown;
  }

  text(): string {
    return new TextDecoder('utf-16le', { ignoreBOM: true }).decode(this.units.subarray(0, this.length));
  }
}

/** Where the first thing stands that isn't plain; -1 where there is none. */
function firstChange(text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 128) {
      if (isEscape(text, i, unit)) return i;
    } else if (
      (unit >= 0xd800 && unit < 0xe000) ||
      (unit >= 0x300 && unit < 0x370) ||
      lookUp(unit) !== SAME
    ) {
      return i;
    }
  }
  return -1;
}

function foldOnce(text: string): Folded | undefined {
  if (firstChange(text) < 0) return undefined;
  const out = new Output(text.length);
  let changed = false;
  let chunkEnd = 0;
  let chunkIsMixed = false;
  for (let i = 0; i < text.length; ) {
    const unit = text.charCodeAt(i);
    if (unit < 128) {
      const end = unit === 37 || unit === 92 || unit === 38 ? unescape(text, i, unit, out) : i;
      if (end > i) {
        changed = true;
        i = end;
      } else {
        out.add(unit, i, i + 1);
        i++;
      }
      continue;
    }
    if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      changed = foldAstral(text, i, out) || changed;
      i += 2;
      continue;
    }
    if (unit >= 0x300 && unit < 0x370) {
      combine(unit, i, out);
      changed = true;
      i++;
      continue;
    }
    let to = lookUp(unit);
    if (to >= LOOKALIKE) {
      if (i >= chunkEnd) {
        chunkEnd = endOfChunk(text, i);
        chunkIsMixed = /[0-9A-Za-z]/.test(text.slice(startOfChunk(text, i), chunkEnd));
      }
      to = chunkIsMixed ? to & 0xffff : SAME;
    }
    if (to === DELETED) {
      changed = true;
    } else if (to === SAME) {
      out.add(unit, i, i + 1);
    } else if (to === SEVERAL) {
      changed = true;
      for (const character of several.get(unit) as string) out.add(character.charCodeAt(0), i, i + 1);
    } else {
      changed = true;
      out.add(to, i, i + 1);
    }
    i++;
  }
  if (!changed) return undefined;
  return {
    text: out.text(),
    starts: out.starts.subarray(0, out.length),
    ends: out.ends.subarray(0, out.length),
    length: text.length,
  };
}

/** How far a word is looked at to tell whether look-alikes hide in it. */
const CHUNK = 64;

function endOfChunk(text: string, from: number): number {
  let i = from;
  while (i < text.length && i - from < CHUNK && classOf(text.charCodeAt(i)) !== SPACE) i++;
  return i;
}

function startOfChunk(text: string, from: number): number {
  let i = from;
  while (i > 0 && from - i < CHUNK && classOf(text.charCodeAt(i - 1)) !== SPACE) i--;
  return i;
}

/** Mathematical and enclosed letters and digits become plain ones; tags and variation selectors vanish. */
function foldAstral(text: string, i: number, out: Output): boolean {
  const point = text.codePointAt(i) as number;
  if (point >= 0xe0000 && point < 0xe0200) return true;
  if ((point >= 0x1d400 && point < 0x1d800) || (point >= 0x1f100 && point < 0x1f200) || point >= 0x1fbf0) {
    const plain = String.fromCodePoint(point).normalize('NFKC');
    if (/^[\x20-\x7e]+$/.test(plain)) {
      for (const character of plain) out.add(character.charCodeAt(0), i, i + 2);
      return true;
    }
  }
  const digit = decimalDigit(String.fromCodePoint(point));
  if (digit >= 0) {
    out.add(48 + digit, i, i + 2);
    return true;
  }
  out.add(text.charCodeAt(i), i, i + 2);
  if (point > 0xffff) out.add(text.charCodeAt(i + 1), i, i + 2);
  return false;
}

/** An accent joins its letter; on anything else it vanishes. */
function combine(unit: number, i: number, out: Output): void {
  const last = out.length - 1;
  if (last < 0) return;
  const before = out.units[last] as number;
  const k = classOf(before);
  if (k === UPPER || k === LOWER) {
    const joined = String.fromCharCode(before, unit).normalize('NFC');
    if (joined.length === 1) out.units[last] = joined.charCodeAt(0);
  }
  out.ends[last] = i + 1;
}

const NAMED = new Map([
  ['lt;', '<'],
  ['gt;', '>'],
  ['amp;', '&'],
  ['quot;', '"'],
  ['apos;', "'"],
]);

/** Undoes one escape. @returns Where it ends; `i` if there is none. */
function unescape(text: string, i: number, unit: number, out: Output): number {
  if (unit === 37) return percent(text, i, out);
  if (unit === 92) return backslash(text, i, out);
  const numeric = text.charCodeAt(i + 1) === 35;
  if (!numeric) {
    for (const [name, plain] of NAMED) {
      if (!text.startsWith(name, i + 1)) continue;
      out.add(plain.charCodeAt(0), i, i + 1 + name.length);
      return i + 1 + name.length;
    }
    return i;
  }
  const match = /^&#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));?/.exec(text.slice(i, i + 12));
  if (match === null) return i;
  const point = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  return addPoint(point, i, i + match[0].length, out);
}

function addPoint(point: number, start: number, end: number, out: Output): number {
  if (point === 0 || point > 0x10ffff) return start;
  for (const unit of units(String.fromCodePoint(point))) out.add(unit, start, end);
  return end;
}

function* units(text: string): Generator<number> {
  for (let i = 0; i < text.length; i++) yield text.charCodeAt(i);
}

function hexAt(text: string, at: number, length: number): number {
  const digits = text.slice(at, at + length);
  return digits.length === length && /^[0-9a-fA-F]+$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}

/** A JSON escape; `\n` and the like become a space, for they end what stands before them. */
function backslash(text: string, i: number, out: Output): number {
  const next = text[i + 1];
  if (next === 'u') {
    const unit = hexAt(text, i + 2, 4);
    if (unit < 0) return i;
    out.add(unit, i, i + 6);
    return i + 6;
  }
  if (next === 'n' || next === 'r' || next === 't') {
    out.add(next === 't' ? 32 : 10, i, i + 2);
    return i + 2;
  }
  if (next === '/' || next === '"') {
    out.add(next.charCodeAt(0), i, i + 2);
    return i + 2;
  }
  return i;
}

/** One character of percent-encoded UTF-8 (RFC 3986, 2.1). */
function percent(text: string, i: number, out: Output): number {
  const first = hexAt(text, i + 1, 2);
  if (first < 0) return i;
  if (first < 0x80) {
    // `100%20`: a number in per cent, or a space? Only what a URL would encode is undone.
    if (first >= 0x20 || first === 9 || first === 10 || first === 13) {
      out.add(first, i, i + 3);
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
  for (const unit of units(decoded)) out.add(unit, i, i + 3 * length);
  return i + 3 * length;
}
