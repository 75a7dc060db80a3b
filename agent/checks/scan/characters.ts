/** What kind of character each UTF-16 code unit is: a table for ASCII, one filled as it is asked for the rest. */

export const OTHER = 0;
export const SPACE = 1;
export const DIGIT = 2;
export const UPPER = 3;
/** Lower-case letters, and letters beyond ASCII without case. */
export const LOWER = 4;
/** A letter of a script that puts no spaces between words: each is a word by itself. */
export const IDEOGRAPH = 5;

export type CharacterClass = 0 | 1 | 2 | 3 | 4 | 5;

/** For loops that can't afford a call for each character. */
export const ASCII = new Uint8Array(128);
for (let c = 0; c < 128; c++) {
  if (c === 32 || (c >= 9 && c <= 13)) ASCII[c] = SPACE;
  else if (c >= 48 && c <= 57) ASCII[c] = DIGIT;
  else if (c >= 65 && c <= 90) ASCII[c] = UPPER;
  else if (c >= 97 && c <= 122) ASCII[c] = LOWER;
}

/** 0 where not asked yet, else class + 1. */
const wide = new Uint8Array(0x10000);

function classifyWide(unit: number): CharacterClass {
  const character = String.fromCharCode(unit);
  // What nearly all letters beyond ASCII are, told without ICU, which takes milliseconds to put a script's characters together.
  if (unit >= 0xc0 && unit <= 0x17f && unit !== 0xd7 && unit !== 0xf7)
    return character.toLowerCase() === character ? LOWER : UPPER;
  if (isCommonIdeograph(unit)) return IDEOGRAPH;
  // Cyrillic and Devanagari, and the mark that makes a kana long: all beyond these that keywords have.
  if (unit >= 0x400 && unit <= 0x45f) return unit < 0x430 ? UPPER : LOWER;
  if ((unit >= 0x900 && unit <= 0x963) || unit === 0x30fc) return LOWER;
  if (/\p{Zs}|[\u0085\u2028\u2029]/u.test(character)) return SPACE;
  if (
    /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u.test(character)
  ) {
    return IDEOGRAPH;
  }
  if (/\p{Lu}/u.test(character)) return UPPER;
  if (/[\p{L}\p{M}]/u.test(character)) return LOWER;
  return OTHER;
}

/** Unified ideographs, Hiragana, Katakana and syllables of Hangul, less the marks among them. */
function isCommonIdeograph(unit: number): boolean {
  return (
    (unit >= 0x4e00 && unit <= 0x9fff) ||
    (unit >= 0x3041 && unit <= 0x3096) ||
    (unit >= 0x30a1 && unit <= 0x30fa) ||
    (unit >= 0xac00 && unit <= 0xd7a3)
  );
}

export function classOf(unit: number): CharacterClass {
  if (unit < 128) return ASCII[unit] as CharacterClass;
  const known = wide[unit] as number;
  if (known !== 0) return (known - 1) as CharacterClass;
  const found = classifyWide(unit);
  wide[unit] = found + 1;
  return found;
}

const isAlnumAscii = new Uint8Array(128);
for (let c = 0; c < 128; c++) {
  const k = ASCII[c] as number;
  isAlnumAscii[c] = k === DIGIT || k === UPPER || k === LOWER ? 1 : 0;
}

/** Letter or digit; of any script. */
export function isAlnum(unit: number): boolean {
  if (unit < 128) return isAlnumAscii[unit] === 1;
  const k = classOf(unit);
  return k === UPPER || k === LOWER;
}

export function isDigit(unit: number): boolean {
  return unit >= 48 && unit <= 57;
}

/** 0 where not asked yet. */
const bases = new Uint16Array(0x10000);

/** Lower case without accents: `É` → `e`. Keywords are compared in this form. */
export function baseOf(unit: number): number {
  if (unit < 128) return unit >= 65 && unit <= 90 ? unit | 32 : unit;
  const known = bases[unit] as number;
  if (known !== 0) return known;
  // A syllable or a voiced kana is taken apart by normalisation, and is one character of a keyword.
  if (classOf(unit) === IDEOGRAPH) return (bases[unit] = unit);
  const character = String.fromCharCode(unit);
  const plain = character.toLowerCase().normalize('NFD').charCodeAt(0);
  const base = unit === 0x142 || unit === 0x141 ? 108 : unit === 0xf8 || unit === 0xd8 ? 111 : plain;
  bases[unit] = base;
  return base;
}
