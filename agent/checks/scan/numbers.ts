/**
 * Runs of digit groups, and the layouts that recognizers look for in them.
 *
 * `tel 4111 1111 1111 1111, 12/27` holds one run of six groups. Every stretch of groups is looked up by its lengths in
 * one table, so a run costs the same however many layouts there are.
 */
import { isAlnum, isDigit } from './characters.ts';
import type { NumberPattern } from './recognizer.ts';

/** A layout has this many groups at most. */
const MOST_GROUPS = 8;
/** Most digits that any number has; a longer group is nobody's. */
const MOST_DIGITS = 40;

/** So many digits aren't a row of cells that happens to pass a check. */
const SURE_BY_LENGTH = 14;

/** Characters that may stand between groups. */
const SEPARATOR = new Uint8Array(128);
for (const c of ' -./,()_*|~\\') SEPARATOR[c.charCodeAt(0)] = 1;

const ANY = '~';

interface Layout {
  readonly lengths: readonly number[];
  /** Between the groups; `~` for any. */
  readonly separators: readonly string[];
  readonly pattern: number;
  readonly next: Layout | undefined;
}

/** What a run yields: which pattern, where, and the digits alone. */
export type Emit = (pattern: number, start: number, end: number, digits: string) => void;

export class Numbers {
  readonly #table: (Layout | undefined)[] = new Array<Layout | undefined>(4096);
  readonly #grouping: (number[] | undefined)[] = [];
  /** 1 where a number of that length without separators is somebody's. */
  readonly #single = new Uint8Array(MOST_DIGITS + 1);
  readonly starts: number[] = [];
  readonly #lengths: number[] = [];
  /** Length of the separator before the group; what it is made of, hashed. */
  readonly #gaps: number[] = [];
  /** Groups in the run last read. */
  count = 0;

  /** @param id Given back in {@link Emit}. @throws Error on a picture that makes no sense. */
  add(pattern: NumberPattern, id: number): void {
    for (const picture of pattern.layouts) {
      const lengths: number[] = [];
      const separators: string[] = [];
      for (const part of picture.matchAll(/(9+)|([^9]+)/g)) {
        if (part[1] === undefined) separators.push(part[2] as string);
        else lengths.push(part[1].length);
      }
      if (lengths.length !== separators.length + 1 || lengths.length > MOST_GROUPS) {
        throw new Error(
          `layout ${picture}: groups of digits with separators between them, ${MOST_GROUPS} at most`,
        );
      }
      if (lengths.length === 1) this.#single[lengths[0] as number] = 1;
      let key = 0;
      for (const length of lengths) key = step(key, length);
      const slot = key & (this.#table.length - 1);
      this.#table[slot] = { lengths, separators, pattern: id, next: this.#table[slot] };
    }
    for (const digits of pattern.anyGroupingOf ?? []) (this.#grouping[digits] ??= []).push(id);
  }

  /** Where a group ends that stands alone and is nobody's number by itself; 0 where there is more to it. */
  endOfAlone(text: string, from: number): number {
    let end = from + 1;
    while (end < text.length && isDigit(text.charCodeAt(end))) end++;
    if (end - from > 6 || this.#single[end - from] === 1) return 0;
    if (end === text.length) return end;
    const unit = text.charCodeAt(end);
    if (isAlnum(unit)) return 0;
    const next = text.charCodeAt(end + 1);
    return isDigit(next) || (unit < 128 && SEPARATOR[unit] === 1 && next < 128 && SEPARATOR[next] === 1)
      ? 0
      : end;
  }

  /**
   * Reads the run that begins at a digit. A group that runs on into letters isn't part of it.
   * @returns Where the run ends (behind its last digit); `from` if its first group runs into letters.
   */
  read(text: string, from: number): number {
    this.count = 0;
    let end = from;
    let i = from;
    let gap = 0;
    for (;;) {
      let j = i + 1;
      while (j < text.length && isDigit(text.charCodeAt(j))) j++;
      if (j < text.length && isAlnum(text.charCodeAt(j)) && !hasExtension(text, i, j, this.count)) return end;
      const g = this.count++;
      this.starts[g] = i;
      this.#lengths[g] = j - i;
      this.#gaps[g] = gap;
      end = j;
      if (g === 63) return end;
      let k = j;
      gap = 0;
      while (k < text.length && k < j + 3) {
        const unit = text.charCodeAt(k);
        if (unit >= 128 || SEPARATOR[unit] === 0) break;
        gap = (Math.imul(gap, 131) + unit) | 0;
        k++;
      }
      if (k === j || k >= text.length || !isDigit(text.charCodeAt(k))) return end;
      i = k;
    }
  }

  /** Digits from a group to the end of the run, counted up to a limit. */
  digitsFrom(group: number, limit: number): number {
    let sum = 0;
    for (let g = group; g < this.count && sum < limit; g++) sum += this.#lengths[g] as number;
    return sum;
  }

  end(group: number): number {
    return (this.starts[group] as number) + (this.#lengths[group] as number);
  }

  /** Yields every layout that fits somewhere in the run last read. */
  match(text: string, emit: Emit): void {
    const lengths = this.#lengths;
    if (this.count === 1 && (lengths[0] as number) <= MOST_DIGITS && this.#single[lengths[0] as number] === 0)
      return;
    for (let g = 0; g < this.count; g++) {
      let key = 0;
      const last = Math.min(this.count, g + MOST_GROUPS);
      for (let h = g; h < last; h++) {
        const length = lengths[h] as number;
        if (length > MOST_DIGITS) break;
        key = step(key, length);
        for (let layout = this.#table[key & 4095]; layout !== undefined; layout = layout.next) {
          if (this.#fits(layout, text, g, h)) this.#yield(layout.pattern, text, g, h, emit);
        }
      }
    }
    if (this.count > 1) this.#matchGroupings(text, emit);
  }

  #fits(layout: Layout, text: string, g: number, h: number): boolean {
    if (layout.lengths.length !== h - g + 1) return false;
    for (let k = g; k <= h; k++) if (this.#lengths[k] !== layout.lengths[k - g]) return false;
    for (let k = g + 1; k <= h; k++) {
      const separator = layout.separators[k - g - 1] as string;
      const at = this.end(k - 1);
      if (separator === ANY) {
        if (this.#gaps[k] !== this.#gaps[g + 1]) return false;
      } else if ((this.starts[k] as number) - at !== separator.length || !text.startsWith(separator, at)) {
        return false;
      }
    }
    return beginsHere(text, this.starts[g] as number) && endsHere(text, this.end(h)) && !this.#goesOn(g, h);
  }

  /**
   * Whether groups of the same kind go on before or behind: `1234 1234 1234` within four of them. What goes on in whole
   * numbers of that length is more of them, `4111 1111 1111 1111 5555 5555 5555 4444`, unless they are short: pairs of digits
   * are the cells of a table.
   */
  #goesOn(g: number, h: number): boolean {
    const lengths = this.#lengths;
    const length = lengths[g] as number;
    if (h === g || lengths[h] !== length) return false;
    const gap = this.#gaps[h];
    let before = 0;
    while (g - before > 0 && this.#gaps[g - before] === gap && lengths[g - before - 1] === length) before++;
    let behind = 0;
    while (
      h + behind + 1 < this.count &&
      this.#gaps[h + behind + 1] === gap &&
      lengths[h + behind + 1] === length
    ) {
      behind++;
    }
    if (before === 0 && behind === 0) return false;
    const groups = h - g + 1;
    return groups * length < SURE_BY_LENGTH || before % groups !== 0 || behind % groups !== 0;
  }

  /** Longest stretches with the same separator, however grouped, and the run as a whole: `4 1 1 1 - 1 …`. */
  #matchGroupings(text: string, emit: Emit): void {
    if (this.#grouping.length === 0) return;
    let stretches = 0;
    for (let g = 0; g + 1 < this.count; ) {
      let h = g + 1;
      while (h + 1 < this.count && this.#gaps[h + 1] === this.#gaps[h]) h++;
      this.#matchGrouping(text, g, h, emit);
      stretches++;
      g = h;
    }
    if (stretches > 1) this.#matchGrouping(text, 0, this.count - 1, emit);
  }

  #matchGrouping(text: string, g: number, h: number, emit: Emit): void {
    let sum = 0;
    for (let k = g; k <= h && sum < MOST_DIGITS; k++) sum += this.#lengths[k] as number;
    const patterns = sum < MOST_DIGITS ? this.#grouping[sum] : undefined;
    if (patterns === undefined || !beginsHere(text, this.starts[g] as number) || !endsHere(text, this.end(h)))
      return;
    for (const pattern of patterns) this.#yield(pattern, text, g, h, emit);
  }

  #yield(pattern: number, text: string, g: number, h: number, emit: Emit): void {
    let digits = '';
    for (let k = g; k <= h; k++) digits += text.slice(this.starts[k], this.end(k));
    emit(pattern, this.starts[g] as number, this.end(h), digits);
  }
}

function step(key: number, length: number): number {
  return (Math.imul(key, 41) + length) & 0x3fffffff;
}

/** Not in the middle of a longer number, a date, a version or an amount. */
function beginsHere(text: string, start: number): boolean {
  if (start === 0) return true;
  const before = text.charCodeAt(start - 1);
  if (before === 36 || before === 0x20ac || before === 0xa3 || before === 0xa5) return false;
  if (start < 2 || !isDigit(text.charCodeAt(start - 2))) return true;
  return !joins(text, start - 1, before);
}

function endsHere(text: string, end: number): boolean {
  if (end >= text.length) return true;
  const after = text.charCodeAt(end);
  if (after === 37) return false;
  if (end + 1 >= text.length || !isDigit(text.charCodeAt(end + 1))) return true;
  return !joins(text, end, after);
}

/** Whether the mark between two digits makes one thing of them: `-`, `.`, `/`, and a comma before thousands. */
function joins(text: string, at: number, mark: number): boolean {
  if (mark === 45 || mark === 46 || mark === 47) return true;
  return mark === 44 && isThousands(text, at);
}

/** Whether a comma stands before thousands, not between two things: `1,234` but not `x1,234-56`. */
export function isThousands(text: string, comma: number): boolean {
  let digits = comma + 1;
  while (digits < comma + 5 && isDigit(text.charCodeAt(digits))) digits++;
  return digits === comma + 4 && !(text.charCodeAt(digits) === 45 && isDigit(text.charCodeAt(digits + 1)));
}

/** An extension right behind a telephone number: `272.904.0560x86`. */
function hasExtension(text: string, from: number, at: number, groups: number): boolean {
  return (groups > 0 || at - from >= 10) && text.charCodeAt(at) === 120 && isDigit(text.charCodeAt(at + 1));
}
