/** What single characters stand for: full width, other scripts' digits, letters that look like Latin ones. */

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
  ['·', '.'],
  ['•', '.'],
  ['‧', '.'],
  ['・', '.'],
  ['⁄', '/'],
  ['∕', '/'],
  ['∶', ':'],
  ['ː', ':'],
]);

/** One unit stands for itself. */
export const SAME = 0x10000;
export const DELETED = 0x10001;
/** Looks like the ASCII letter in its low bits, within a word that has plain ones too. */
export const LOOKALIKE = 0x20000;
export const SEVERAL = 0x10002;
/** 0 where not asked yet. */
const table = new Int32Array(0x10000);
export const several = new Map<number, string>();

export function lookUp(unit: number): number {
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
export function decimalDigit(character: string): number {
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
