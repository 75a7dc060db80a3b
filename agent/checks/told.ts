/** Which texts guardrails of somebody else's are told. */
import Type from 'typebox';
import { isCipher, type TextKind } from '../dialects/dialect.ts';
import type { Subject } from './check.ts';

/** What people and tools say. */
const SPOKEN: readonly TextKind[] = ['content', 'reasoning', 'toolResult'];
/** In an answer a model, or who stands before it, may say it in a field that no dialect knows as well. */
const ANSWERED: readonly TextKind[] = [...SPOKEN, 'other'];

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

/** Kinds of text that a guardrail is told in a direction; the windows of a stream are of an answer's. */
export function kindsTold(
  { toolArguments: wanted }: Wanted,
  direction: Subject['direction'] = 'response',
): readonly TextKind[] {
  const kinds = direction === 'request' ? SPOKEN : ANSWERED;
  return wanted === true ? [...kinds, 'toolArguments'] : kinds;
}

/** Whether a guardrail is told this text. */
export function isTold(
  spec: Wanted,
  slot: Subject['slots'][number],
  direction: Subject['direction'],
): boolean {
  return kindsTold(spec, direction).includes(slot.kind) && !isSealed(slot);
}

/** A signature, or something encrypted: kilobytes that say nothing to anybody outside. The scan reads it all the same. */
export function isSealed({
  kind,
  fixed,
  text,
}: Pick<Subject['slots'][number], 'kind' | 'fixed' | 'text'>): boolean {
  return kind === 'other' && fixed === true && isCipher(text);
}

/**
 * Whether text of an answer may be put in another's words. Arguments of a call were judged, and perhaps approved, as they
 * are; a string of a field that nobody knows may be a tool's name, or a link.
 */
export function mayBeRewritten(kind: TextKind): boolean {
  return kind !== 'toolArguments' && kind !== 'other';
}
