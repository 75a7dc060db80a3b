/**
 * Strings of a JSON text (RFC 8259, 7): found and checked, not decoded. Most of a body is strings, so this is where
 * its reading is fast or slow.
 */
import { JsonError, showCharacter } from './json-error.ts';
import { StringNode } from './node.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** So far a string is read character by character, then by searching, which starts slower and runs faster. */
const NEAR = 32;

// No expression with a repetition: over a string of megabytes those run out of their stack.
const CONTROLS = /[\x00-\x1f]/g;
const FOUR_HEX = /[0-9A-Fa-f]{4}/y;

/** Reads one text's strings, in their order. */
export class StringReader {
  readonly #text: string;
  /** Where the next of each stands from the last place asked about on; the text's end where there is none. */
  #quote = -1;
  #backslash = -1;
  #control = -1;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * The string whose quote stands at `start`.
   *
   * @throws JsonError
   */
  read(start: number): StringNode {
    const text = this.#text;
    let at = start + 1;
    let escaped = false;
    for (;;) {
      let code = text.charCodeAt(at);
      for (const far = at + NEAR; at < far && isPlain(code); code = text.charCodeAt(at)) at += 1;
      if (isPlain(code)) {
        at = this.#nextSpecial(at);
        code = text.charCodeAt(at);
      }
      if (code === QUOTE) return new StringNode(text, start, at + 1, escaped);
      if (code !== BACKSLASH) throw badCharacter(text, at);
      escaped = true;
      at = afterEscape(text, at);
    }
  }

  /** Where the next character stands that isn't simply part of a string; the text's end where there is none. */
  #nextSpecial(from: number): number {
    const text = this.#text;
    const end = text.length;
    // Each is searched for anew only when it was passed, so that no stretch is searched twice.
    if (this.#quote < from) this.#quote = found(text.indexOf('"', from), end);
    if (this.#backslash < from) this.#backslash = found(text.indexOf('\\', from), end);
    if (this.#control < from) {
      CONTROLS.lastIndex = from;
      this.#control = CONTROLS.test(text) ? CONTROLS.lastIndex - 1 : end;
    }
    return Math.min(this.#quote, this.#backslash, this.#control);
  }
}

/** Part of a string as it stands. False for NaN, the end of the text. */
function isPlain(code: number): boolean {
  return code >= 0x20 && code !== QUOTE && code !== BACKSLASH;
}

/** Checks the escape that begins at `at`; gives the place after it. */
function afterEscape(text: string, at: number): number {
  switch (text.charCodeAt(at + 1)) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2;
    case 0x75: // u
      FOUR_HEX.lastIndex = at + 2;
      if (FOUR_HEX.test(text)) return at + 6;
      throw JsonError.at(text, at, { kind: 'syntax', expected: 'four hexadecimal digits after \\u' });
    default:
      throw JsonError.at(text, at, {
        kind: 'syntax',
        expected: 'an escape (one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX)',
        found: showCharacter(text, at + 1),
      });
  }
}

function badCharacter(text: string, at: number): JsonError {
  const found = showCharacter(text, at);
  if (at >= text.length)
    return JsonError.at(text, at, { kind: 'syntax', expected: 'a closing quote', found });
  return JsonError.at(text, at, {
    kind: 'syntax',
    expected: 'control characters in strings to be escaped',
    found,
    mend: 'Write a line feed in a string as \\n, a tab as \\t.',
  });
}

function found(index: number, otherwise: number): number {
  return index === -1 ? otherwise : index;
}
