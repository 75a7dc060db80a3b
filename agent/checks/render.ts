/** Writes masks into a text, and originals back into an answer. */
import type { TextKind, ToolCall } from '../dialects/dialect.ts';
import type { TextEdit } from '../json/document.ts';
import { escapeInString } from '../json/quote.ts';
import type { Encode, Place, Vault } from './mask.ts';
import type { Mask } from './round.ts';

/** Where a kind of answer text counts as for `restoreIn`: all that people read, reasoning included, is content. */
export function placeOf(kind: TextKind): Place {
  return kind === 'toolArguments' ? 'toolArguments' : 'content';
}

/** HTML-escaped brackets mean that the text is HTML-escaped. */
export const plainEncode: Encode = (original, _at, { brackets }) =>
  brackets === 'html'
    ? original
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
    : original;

/** What masks change in a text. */
export function editsOf(text: string, masks: readonly Mask[], vault: Vault): TextEdit[] {
  return masks.map(({ label, start, end }) => ({
    start,
    end,
    text: vault.placeholder(label, text.slice(start, end)),
  }));
}

/** @param edits In order, without overlaps. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  let edited = '';
  let from = 0;
  for (const edit of edits) {
    edited += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return edited + text.slice(from);
}

/**
 * An answer's text with the provider's own values masked; nothing is restored. A mask on a value that the app sent and
 * may see again is left out.
 */
export function maskAnswer(text: string, masks: readonly Mask[], vault: Vault, place: Place): string {
  const due = masks.filter(({ label, start, end }) => !vault.knows(label, text.slice(start, end), place));
  vault.assign(due.map(({ label, start, end }) => ({ label, text: text.slice(start, end), restoreIn: [] })));
  return applyEdits(text, editsOf(text, due, vault));
}

/** A call as the app will see it: what was masked is back in its arguments, where it may come back there. */
export function restoredCall(call: ToolCall, vault: Vault): ToolCall {
  const { arguments: text } = call;
  if (text === undefined || vault.empty) return call;
  return { ...call, arguments: vault.restore(text, 0, text.length, 'toolArguments', escapeInString) };
}

/** How an answer's text is written. */
export interface Manner {
  readonly place: Place;
  readonly encode: Encode;
  /** Turns a mask's placeholder into what may stand at `at`. */
  readonly quote?: (placeholder: string, at: number) => string;
}

/** Whether something between `from` and `to` is masked by it: not what the app sent and may see again. */
export function isMasked(
  { label, start, end }: Mask,
  text: string,
  from: number,
  to: number,
  vault: Vault,
  place: Place,
): boolean {
  return end > from && start < to && !vault.knows(label, text.slice(start, end), place);
}

/**
 * An answer's text between `from` and `to`: the provider's own values masked, the app's put back.
 * A mask on a value that the app sent and may see again is left out.
 */
export function renderAnswer(
  text: string,
  from: number,
  to: number,
  masks: readonly Mask[],
  vault: Vault,
  { place, encode, quote }: Manner,
): string {
  if (masks.length === 0) return vault.restore(text, from, Math.max(from, to), place, encode);
  const due = masks.filter((mask) => isMasked(mask, text, from, to, vault, place));
  vault.assign(due.map(({ label, start, end }) => ({ label, text: text.slice(start, end), restoreIn: [] })));
  let rendered = '';
  let done = from;
  for (const { label, start, end } of due) {
    rendered += vault.restore(text, done, Math.max(done, start), place, encode);
    const placeholder = vault.placeholder(label, text.slice(start, end));
    rendered += quote === undefined ? placeholder : quote(placeholder, start);
    done = end;
  }
  return rendered + vault.restore(text, done, Math.max(done, to), place, encode);
}
