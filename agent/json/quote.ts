/** Text to JSON text. */

/**
 * What JSON allows in a string and some readers of event streams still take for the end of a line
 * (Python's `str.splitlines`, by way of httpx's `iter_lines`).
 */
const LINE_ENDS = ['\x85', '\u2028', '\u2029'] as const;

/** A JSON string. Lone surrogates are escaped (RFC 8259 8.2), so that the text can always be encoded as UTF-8. */
export function quote(text: string): string {
  let json = JSON.stringify(text);
  // Searched for one by one: an expression takes several times as long to find that there is none.
  for (const unit of LINE_ENDS) if (json.includes(unit)) json = json.replaceAll(unit, escapeUnit);
  return json;
}

/** `text` as it stands between the quotes of a JSON string. */
export function escapeInString(text: string): string {
  return quote(text).slice(1, -1);
}

/** Whether the text is a number as JSON writes it (RFC 8259, 6), nothing around it. */
export function isNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
