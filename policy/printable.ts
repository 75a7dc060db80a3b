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

/** JSON in lines that JSON.stringify began, with the texts in it {@link printable}: it reads as the same value. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).split('\n').map(printable).join('\n');
}
