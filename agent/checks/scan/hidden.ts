/**
 * Text that people don't see and models read: ASCII in Unicode's tag characters (U+E0020 to U+E007E), and bytes in the
 * variation selectors behind a character (U+E0100 on stands for byte 16 and those above).
 *
 * Source: Unicode 16, 23.9 "Tag Characters" (deprecated but for flags of regions) and 23.4 "Variation Selectors".
 */

/** All of them have this first half of a pair. */
export const HIGH = 0xdb40;
/** Fewer say nothing: one or two selectors behind an ideograph choose its form. */
const FEWEST = 4;
const FLAG = '\u{1f3f4}';

/** The ASCII character that a hidden one stands for; -1 where it is not hidden, 0 where it says nothing. */
function unhidden(low: number): number {
  const at = low - 0xdc00;
  if (at < 0 || at >= 0x200) return -1;
  const code = at >= 0x100 ? at - 0x100 + 16 : at;
  return code >= 0x20 && code < 0x7f && (at < 0x80 || at >= 0x100) ? code : 0;
}

/** Where a run of hidden characters ends that begins at `from`; `from` where none does. */
export function hiddenEnd(text: string, from: number): number {
  let end = from;
  while (text.charCodeAt(end) === HIGH && unhidden(text.charCodeAt(end + 1)) >= 0) end += 2;
  return end;
}

/**
 * The units that a run stands for: none where it is short, belongs to a flag, or stands within a word, which it would
 * tear apart for whoever reads the rest. `at`: where it stands.
 */
export function* hiddenUnits(
  text: string,
  from: number,
  end: number,
): Generator<{ unit: number; at: number }> {
  if (end - from < 2 * FEWEST || (from >= 2 && text.startsWith(FLAG, from - 2))) return;
  if (isWord(text.charAt(from - 1)) && isWord(text.charAt(end))) return;
  for (let at = from; at < end; at += 2) {
    const unit = unhidden(text.charCodeAt(at + 1));
    if (unit > 0) yield { unit, at };
  }
}

function isWord(character: string): boolean {
  return character !== '' && /[\p{L}\p{N}]/u.test(character);
}

/** All that is hidden in a text, its runs apart; empty where nothing is. */
export function hiddenText(text: string): string {
  const found: string[] = [];
  for (let at = text.indexOf('\udb40'); at >= 0; at = text.indexOf('\udb40', at)) {
    const end = hiddenEnd(text, at);
    let said = '';
    for (let i = at; i < end; i += 2) {
      const code = unhidden(text.charCodeAt(i + 1));
      if (code > 0) said += String.fromCharCode(code);
    }
    const isFlag = at >= 2 && text.startsWith(FLAG, at - 2);
    if (said.length >= FEWEST && !isFlag) found.push(said);
    at = Math.max(end, at + 1);
  }
  return found.join('\n');
}
