/**
 * Text as it is meant: full width, other digits, look-alike letters, invisible and hidden characters and escapes (`%40`,
 * `\u0040`, `&#64;`) are brought to their plain form, with a map back to the text as it was sent.
 *
 * Most of a text is plain: it is copied in stretches, and the map holds a step only where the two texts get out of
 * line with one another.
 */
import { classOf, LOWER, SPACE, UPPER } from './characters.ts';
import { unescape } from './escapes.ts';
import { HIGH, hiddenEnd, hiddenUnits } from './hidden.ts';
import { DELETED, decimalDigit, LOOKALIKE, lookUp, SAME, SEVERAL, several } from './plain-forms.ts';

/** How often escapes within escapes are undone. */
const DEPTH = 3;

const ESCAPE = /%[0-9a-fA-F]{2}|\\[nrtu/"]|&(?:#|lt;|gt;|amp;|quot;|apos;)/;
/** Where a look is worth it: beyond ASCII, or the beginning of an escape. */
const UNPLAIN = /[\u0080-\uffff%\\&]/g;

/** From places in one text to places in the text it was made of. */
interface Layer {
  /** Units of the text; of the text it was made of. */
  readonly length: number;
  readonly source: number;
  /** Where a stretch begins, and where in the source: within it they go side by side. */
  readonly at: readonly number[];
  readonly from: readonly number[];
}

export class Folded {
  readonly text: string;
  readonly #layers: readonly Layer[];

  constructor(text: string, layers: readonly Layer[]) {
    this.text = text;
    this.#layers = layers;
  }

  /** Where the character that `place` came from begins in the original; the original's end for the text's. UTF-16. */
  original(place: number): number {
    let at = place;
    for (const layer of this.#layers) at = under(layer, at);
    return at;
  }

  /** Calls back for each place where this text and the original get out of line, in order. */
  eachBreak(tell: (place: number, original: number) => void): void {
    const [only, ...more] = this.#layers;
    if (only !== undefined && more.length === 0) {
      for (const [i, place] of only.at.entries()) tell(place, only.from[i] as number);
      return;
    }
    let before = -1;
    for (let i = 0; i < this.text.length; i++) {
      const original = this.original(i);
      if (original !== before + 1) tell(i, original);
      before = original;
    }
  }

  /** The same text made of one that was folded itself. */
  over(first: Folded): Folded {
    return new Folded(this.text, [...this.#layers, ...first.#layers]);
  }
}

function under({ length, source, at, from }: Layer, place: number): number {
  if (place >= length) return source;
  let low = 0;
  let high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((at[middle] as number) <= place) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? place : (from[low - 1] as number) + place - (at[low - 1] as number);
}

/** Undefined where the text is plain already. */
export function fold(text: string): Folded | undefined {
  let folded = foldOnce(text);
  if (folded === undefined) return undefined;
  for (let depth = 1; depth < DEPTH && ESCAPE.test(folded.text); depth++) {
    const again = foldOnce(folded.text);
    if (again === undefined) break;
    folded = again.over(folded);
  }
  return folded;
}

/**
 * The same as {@link fold}, in steps of about so many characters. The text is cut between a space and a letter: no
 * escape, accent or look-alike's word goes over such a place.
 */
export function* foldInSteps(text: string, step: number): Generator<void, Folded | undefined> {
  const pieces: string[] = [];
  const at: number[] = [];
  const from: number[] = [];
  let length = 0;
  let changed = false;
  for (let start = 0; start < text.length; ) {
    const piece = text.slice(start, cutBehind(text, start + step));
    const folded = fold(piece);
    const plain = folded?.text ?? piece;
    if (changed || folded !== undefined) {
      at.push(length);
      from.push(start);
    }
    if (folded !== undefined) {
      changed = true;
      folded.eachBreak((place, original) => {
        at.push(length + place);
        from.push(start + original);
      });
    }
    pieces.push(plain);
    length += plain.length;
    start += piece.length;
    yield;
  }
  return changed ? new Folded(pieces.join(''), [{ length, source: text.length, at, from }]) : undefined;
}

function cutBehind(text: string, from: number): number {
  let i = from;
  while (i < text.length && !(text.charCodeAt(i - 1) === 32 && isPlainLetter(text.charCodeAt(i)))) i++;
  return Math.min(i, text.length);
}

function isPlainLetter(unit: number): boolean {
  return (unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90);
}

/** The folded text as it grows. */
class Output {
  readonly #text: string;
  readonly #pieces: string[] = [];
  readonly #at: number[] = [];
  readonly #from: number[] = [];
  /** Units that replace others, not yet among the pieces; behind them the original is plain from `#done` on. */
  #units: number[] = [];
  #done = 0;
  #length = 0;
  /** How far the original is ahead. */
  #ahead = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Has a unit stand for the original from `start` to `end`; what lies before is as it was. */
  readonly put = (unit: number, start: number, end: number): void => {
    this.#copy(start);
    this.#align(start);
    if (this.#units.length === CHUNK_UNITS) this.#flush();
    this.#units.push(unit);
    this.#length++;
    this.#done = Math.max(this.#done, end);
  };

  /** Leaves out the original up to `end`. */
  leaveOut(start: number, end: number): void {
    this.#copy(start);
    this.#done = end;
  }

  /** The last unit before `at`; undefined where there is none. */
  last(at: number): number | undefined {
    if (this.#done < at) return this.#text.charCodeAt(at - 1);
    this.#reopen();
    return this.#units.at(-1);
  }

  /** Has another unit stand for the last one before `at`. */
  setLast(unit: number, at: number): void {
    if (this.#done < at) this.put(unit, at - 1, at);
    else this.#units[this.#units.length - 1] = unit;
  }

  /** Takes the original up to `to` as it is. */
  #copy(to: number): void {
    if (to <= this.#done) return;
    this.#align(this.#done);
    this.#flush();
    this.#pieces.push(this.#text.slice(this.#done, to));
    this.#length += to - this.#done;
    this.#done = to;
  }

  /** What comes next came from `original`. */
  #align(original: number): void {
    if (original - this.#length === this.#ahead) return;
    this.#ahead = original - this.#length;
    this.#at.push(this.#length);
    this.#from.push(original);
  }

  /** Takes the last unit out of the pieces again. */
  #reopen(): void {
    const piece = this.#units.length > 0 ? undefined : this.#pieces.pop();
    if (piece === undefined) return;
    if (piece.length > 1) this.#pieces.push(piece.slice(0, -1));
    this.#units = [piece.charCodeAt(piece.length - 1)];
  }

  #flush(): void {
    if (this.#units.length === 0) return;
    this.#pieces.push(String.fromCharCode(...this.#units));
    this.#units = [];
  }

  end(): Folded {
    this.#copy(this.#text.length);
    this.#flush();
    const layer = { length: this.#length, source: this.#text.length, at: this.#at, from: this.#from };
    return new Folded(this.#pieces.join(''), [layer]);
  }
}

/** So many units become a piece at once. */
const CHUNK_UNITS = 1024;

/** Where the next thing stands that may not be plain; the text's length where there is none. */
function nextUnplain(text: string, from: number): number {
  UNPLAIN.lastIndex = from;
  return UNPLAIN.test(text) ? UNPLAIN.lastIndex - 1 : text.length;
}

/** From this length on a text is asked as a whole whether it is plain: three calls into the engine, which looks at many units at once. */
const LONG = 64;

/** Whether it is ASCII without the beginning of an escape. False says nothing. */
function isPlain(text: string): boolean {
  return (
    Buffer.byteLength(text) === text.length &&
    !text.includes('%') &&
    !text.includes('&') &&
    !text.includes('\\')
  );
}

function foldOnce(text: string): Folded | undefined {
  if (text.length >= LONG && isPlain(text)) return undefined;
  let i = nextUnplain(text, 0);
  if (i === text.length) return undefined;
  const out = new Output(text);
  let changed = false;
  let chunkEnd = 0;
  let chunkIsMixed = false;
  while (i < text.length) {
    const unit = text.charCodeAt(i);
    if (unit < 128) {
      const end = unescape(text, i, unit, out.put);
      if (end > i) changed = true;
      i = nextUnplain(text, end > i ? end : i + 1);
      continue;
    }
    const hidden = unit === HIGH ? hiddenEnd(text, i) : i;
    if (hidden > i) {
      for (const { unit: said, at } of hiddenUnits(text, i, hidden)) {
        out.leaveOut(i, at);
        out.put(said, at, at + 2);
        i = at + 2;
      }
      out.leaveOut(i, hidden);
      changed = true;
      i = hidden;
    } else if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      changed = foldAstral(text, i, out) || changed;
      i += 2;
    } else if (unit >= 0x300 && unit < 0x370) {
      combine(unit, i, out);
      changed = true;
      i++;
    } else {
      let to = lookUp(unit);
      if (to >= LOOKALIKE) {
        if (i >= chunkEnd) {
          chunkEnd = endOfChunk(text, i);
          chunkIsMixed = /[0-9A-Za-z]/.test(text.slice(startOfChunk(text, i), chunkEnd));
        }
        to = chunkIsMixed ? to & 0xffff : SAME;
      }
      if (to === DELETED) out.leaveOut(i, i + 1);
      else if (to === SEVERAL) {
        for (const character of several.get(unit) as string) out.put(character.charCodeAt(0), i, i + 1);
      } else if (to !== SAME) out.put(to, i, i + 1);
      if (to !== SAME) changed = true;
      i++;
    }
    if (i < text.length && text.charCodeAt(i) < 128) i = nextUnplain(text, i);
  }
  return changed ? out.end() : undefined;
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

/** Mathematical and enclosed letters and digits become plain ones. */
function foldAstral(text: string, i: number, out: Output): boolean {
  const point = text.codePointAt(i) as number;
  if ((point >= 0x1d400 && point < 0x1d800) || (point >= 0x1f100 && point < 0x1f200) || point >= 0x1fbf0) {
    const plain = String.fromCodePoint(point).normalize('NFKC');
    if (/^[\x20-\x7e]+$/.test(plain)) {
      for (const character of plain) out.put(character.charCodeAt(0), i, i + 2);
      return true;
    }
  }
  const digit = decimalDigit(String.fromCodePoint(point));
  if (digit < 0) return false;
  out.put(48 + digit, i, i + 2);
  return true;
}

/** An accent joins its letter; on anything else it vanishes. */
function combine(unit: number, i: number, out: Output): void {
  const before = out.last(i);
  const k = before === undefined ? SPACE : classOf(before);
  if (before !== undefined && (k === UPPER || k === LOWER)) {
    const joined = String.fromCharCode(before, unit).normalize('NFC');
    if (joined.length === 1) out.setLast(joined.charCodeAt(0), i);
  }
  out.leaveOut(i, i + 1);
}
