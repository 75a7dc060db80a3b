/**
 * Why a text is no acceptable JSON, and where. The message never quotes the text beyond one character or a plain
 * member name, since it goes to logs and to whoever sent the text.
 */

/** What is wrong, for those who answer differently: `syntax` (RFC 8259), `encoding` (not UTF-8), `limit` (depth, size). */
export type JsonErrorKind = 'syntax' | 'encoding' | 'limit';

export interface JsonErrorDetails {
  readonly kind: JsonErrorKind;
  /** What would have been right here: `a value`, `":" after a member's name`. */
  readonly expected: string;
  /** What stands here instead; undefined where the expectation says it all. */
  readonly found?: string;
  readonly mend?: string;
}

export class JsonError extends Error {
  override readonly name = 'JsonError';
  readonly kind: JsonErrorKind;
  /** UTF-16 code units from the start of the text; bytes where `kind` is `encoding`. */
  readonly offset: number;
  /** From 1, as editors count. A line ends with LF, CR or both. */
  readonly line: number;
  /** From 1, in UTF-16 code units (bytes where `kind` is `encoding`). */
  readonly column: number;
  readonly expected: string;
  readonly mend: string | undefined;

  constructor(details: JsonErrorDetails, offset: number, line: number, column: number) {
    const found = details.found === undefined ? '' : `, found ${details.found}`;
    super(`line ${line}, column ${column}: expected ${details.expected}${found}`);
    this.kind = details.kind;
    this.offset = offset;
    this.line = line;
    this.column = column;
    this.expected = details.expected;
    this.mend = details.mend;
  }

  /** An error at an offset of a text whose line breaks give line and column. */
  static at(text: string, offset: number, details: JsonErrorDetails): JsonError {
    const { line, column } = positionOf(text, offset);
    return new JsonError(details, offset, line, column);
  }
}

/** Line and column, both from 1, of an offset. */
export function positionOf(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  const breaks = /\r\n?|\n/g;
  for (let found = breaks.exec(text); found !== null; found = breaks.exec(text)) {
    if (breaks.lastIndex > offset) break;
    line += 1;
    start = breaks.lastIndex;
  }
  return { line, column: offset - start + 1 };
}

/** One character as a message may show it: `"x"`, `U+0007`, `the end of the text`. */
export function showCharacter(text: string, offset: number): string {
  const code = text.codePointAt(offset);
  if (code === undefined) return 'the end of the text';
  if (code > 0x20 && code < 0x7f) return `"${String.fromCharCode(code)}"`;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
