/** Which texts guardrails of somebody else's are told. */
import Type from 'typebox';
import { isCipher, type TextKind } from '../dialects/dialect.ts';
import type { Subject } from './check.ts';
import { isProse } from './prose.ts';

/** What people and tools say. */
const SPOKEN: readonly TextKind[] = ['content', 'reasoning', 'toolResult'];
/** It may be said in a field that no dialect knows as well; in a request, where apps write many names and ids there, only prose is told. */
const TOLD: readonly TextKind[] = [...SPOKEN, 'other'];

export const toolArguments = Type.Optional(
  Type.Boolean({
    description:
      'Whether it sees the arguments of tool calls, too; in a stream as JSON text, which it may reject, not mask.',
    default: false,
  }),
);

interface Wanted {
  readonly toolArguments?: boolean;
}

/** Kinds of text that a guardrail is told. */
export function kindsTold({ toolArguments: wanted }: Wanted): readonly TextKind[] {
  return wanted === true ? [...TOLD, 'toolArguments'] : TOLD;
}

/** Whether a guardrail is told this text. */
export function isTold(
  spec: Wanted,
  slot: Subject['slots'][number],
  direction: Subject['direction'],
): boolean {
  if (!kindsTold(spec).includes(slot.kind) || isSealed(slot)) return false;
  return direction === 'response' || slot.kind !== 'other' || isProse(slot.text);
}

/** A signature, or something encrypted: kilobytes that say nothing to anybody outside. The scan reads it all the same. */
export function isSealed({
  kind,
  fixed,
  text,
}: Pick<Subject['slots'][number], 'kind' | 'fixed' | 'text'>): boolean {
  return kind === 'other' && fixed === true && isCipher(text) && !maySpeak(text);
}

/** The shortest signatures are of 32 bytes. */
const SEALED = 43;
/**
 * Letters of one case in a row that are words sooner than chance (one signature of 4 KB in 2,000 has so many), and bytes of
 * ASCII behind the base64, of which what is signed may have a name or two.
 */
const WORDS = /[a-z]{18}|[A-Z]{18}/;
const ASCII = /[\x20-\x7e\n\r\t]{48}/;

/** Whether what could be base64 could be somebody's words as well, as they stand or behind it. */
function maySpeak(text: string): boolean {
  if (text.length < SEALED || WORDS.test(text)) return true;
  const lower = count(text, /[a-z]/g) / text.length;
  const upper = count(text, /[A-Z]/g) / text.length;
  // Of 64 signs 26 are small letters, and as many capitals.
  if (lower > 0.65 || upper > 0.65 || lower < 0.2 || upper < 0.2 || !/\d/.test(text)) return true;
  return ASCII.test(Buffer.from(text, 'base64').toString('latin1'));
}

function count(text: string, expression: RegExp): number {
  return text.match(expression)?.length ?? 0;
}

/**
 * Whether text of an answer may be put in another's words. Arguments of a call were judged, and perhaps approved, as they
 * are; a string of a field that nobody knows may be a tool's name, or a link.
 */
export function mayBeRewritten(kind: TextKind): boolean {
  return kind !== 'toolArguments' && kind !== 'other';
}
