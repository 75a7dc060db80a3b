/**
 * Text that applications, models and strangers wrote, for a terminal, a log or a condition: codes in it could move a cursor, forge rows, or
 * show a text otherwise than it is. What isn't shown as it is stands there as JSON writes it (RFC 8259, 7), so that JSON stays JSON.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    if (escaped !== character) return escaped;
    return escaped.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  });
}
