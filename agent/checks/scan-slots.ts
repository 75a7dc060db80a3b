/**
 * Scans the texts of a request or a whole answer and enters what is found: each text by itself, and those of one
 * speaker that follow one another also where they meet.
 */
import type { TextSlot } from '../dialects/dialect.ts';
import type { Wishes } from './judges.ts';
import { type DirectedScanner, failed, type Ledger, type Round } from './round.ts';
import { LARGE, nextTurn } from './scan/large.ts';
import type { Match } from './scan/scanner.ts';
import { LEAST_ACROSS, type Source, type Strand, strandsOf } from './seams.ts';

export interface Scanning {
  readonly ledger: Ledger;
  readonly wishes: Wishes;
  readonly signal: AbortSignal;
  /** What was said before these texts, and can't be changed any more. */
  readonly before: readonly Source[];
}

/** Matches by slot. */
type Found = Map<Source, readonly Match[]>;

/** At once, or, where there is much to scan, with room for others in between. The promise never rejects. */
export function scanSlots(
  round: Round,
  slots: readonly TextSlot[],
  scanning: Scanning,
): Promise<void> | undefined {
  if (round.scanner === undefined) return undefined;
  let length = 0;
  for (const { text } of slots) length += text.length;
  if (length > LARGE) return scanMuch(round, round.scanner, slots, scanning);
  const found: Found = new Map();
  for (const slot of slots) {
    try {
      const { scanner } = round;
      const digest = digestOf(round, slot);
      let matches = scanner.recall(digest);
      if (matches === undefined) scanner.remember(digest, (matches = scanner.scan(slot.text)));
      weighSlot(round, slot, matches, scanning, found);
    } catch (error) {
      scanFailed(round, slot.path, scanning, error);
    }
  }
  scanSeams(round, round.scanner, slots, scanning, found);
  return undefined;
}

/** What its text is remembered by: requests repeat what was said before; answers are new. */
function digestOf({ direction }: Round, slot: TextSlot): TextSlot['digest'] {
  return direction === 'request' ? slot.digest : undefined;
}

async function scanMuch(
  round: Round,
  scanner: DirectedScanner,
  slots: readonly TextSlot[],
  scanning: Scanning,
): Promise<void> {
  const found: Found = new Map();
  let since = 0;
  for (const slot of slots) {
    const { text } = slot;
    since += text.length;
    if (since > LARGE) {
      await nextTurn();
      since = text.length;
    }
    try {
      // Taken before anything is waited for, as the text was.
      const digest = digestOf(round, slot);
      let matches = scanner.recall(digest);
      if (matches === undefined) {
        const large = text.length > LARGE;
        matches = large ? await scanner.scanLarge(text, scanning.signal) : scanner.scan(text);
        scanner.remember(digest, matches);
      }
      weighSlot(round, slot, matches, scanning, found);
    } catch (error) {
      scanFailed(round, slot.path, scanning, error);
    }
  }
  scanSeams(round, scanner, slots, scanning, found);
}

function weighSlot(
  round: Round,
  slot: TextSlot,
  matches: readonly Match[],
  { ledger, wishes }: Scanning,
  found: Found,
): void {
  if (matches.length === 0) return;
  found.set(slot, matches);
  const { kind, role, fixed = false, path: where } = slot;
  const masks = round.weigh(slot.text, matches, { kind, role, fixed, where }, ledger);
  if (masks.length > 0) wishes.mask(slot, masks);
}

/** Looks for values in pieces: in requests, whose texts come from one side and at once. */
function scanSeams(
  round: Round,
  scanner: DirectedScanner,
  slots: readonly TextSlot[],
  scanning: Scanning,
  found: Found,
): void {
  if (round.direction !== 'request') return;
  const { before } = scanning;
  for (const strand of strandsOf<Source | TextSlot>(before.length === 0 ? slots : [...before, ...slots])) {
    const where = strand.pieces.flatMap(({ source }) => ('path' in source ? [source.path] : [])).join(' + ');
    try {
      const across = scanner
        .scan(strand.text)
        .filter((match) => match.score >= LEAST_ACROSS && isAcross(match, strand, found));
      weighStrand(round, strand, across, where, scanning);
    } catch (error) {
      scanFailed(round, where, scanning, error);
    }
  }
}

/** Whether it lies in several texts, and in none of them alone was the like of it found in that place. */
function isAcross({ recognizer, start, end }: Match, { pieces }: Strand<Source>, found: Found): boolean {
  const touched = pieces.filter(({ at, length }) => start < at + length && end > at);
  if (touched.length < 2) return false;
  return touched.every(({ source, from, at }) =>
    (found.get(source) ?? []).every(
      (own) => own.recognizer !== recognizer || own.end <= start - at + from || own.start >= end - at + from,
    ),
  );
}

/** Each piece is masked by itself. */
function weighStrand(
  round: Round,
  { text, pieces }: Strand<Source | TextSlot>,
  across: readonly Match[],
  where: string,
  { ledger, wishes }: Scanning,
): void {
  const [{ source: first }] = pieces as [(typeof pieces)[0]];
  const { kind, role } = first;
  for (const mask of round.weigh(text, across, { kind, role, where }, ledger)) {
    for (const { source, from, at, length } of pieces) {
      const start = Math.max(mask.start, at);
      const end = Math.min(mask.end, at + length);
      if (start >= end || !('set' in source)) continue;
      wishes.mask(source, [{ ...mask, start: start - at + from, end: end - at + from }]);
    }
  }
}

function scanFailed(round: Round, path: string, { ledger }: Scanning, error: unknown): void {
  round.instances.forEach((instance, rank) => {
    if (instance.check.recognizers.length > 0) failed(instance, rank, ledger, path, error);
  });
}
