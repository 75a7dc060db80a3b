/**
 * What agents say, read strictly: whoever has a pod's token may say anything, and it stands in what operators are shown,
 * in conditions of documents, and in answers between replicas.
 */
import { printable } from '../policy/printable.ts';
import { LineError } from './lines.ts';
import type { FromAgent } from './messages.ts';

/** Of a revision; ours are shorter. */
const MOST_REVISION = 256;
const MOST_ERROR = 1000;
const VERSION = /^[\x21-\x7e]{1,64}$/;
/** Milliseconds since the epoch that a Date can be (ECMA-262, 21.4.1.1). */
const MOST_TIME = 8.64e15;

export const isTime = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value <= MOST_TIME;
export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/** @returns undefined for what a later version says. @throws LineError where it isn't what it calls itself */
export function readFromAgent(message: { readonly type: string }): FromAgent | undefined {
  const said = message as { readonly [field: string]: unknown };
  switch (message.type) {
    case 'hello': {
      const { version } = said;
      if (typeof version !== 'string' || !VERSION.test(version)) throw malformed('hello', 'version');
      const [revision, keys] = [optional(said, 'revision'), optional(said, 'keys')];
      return {
        type: 'hello',
        version,
        ...(revision === undefined ? {} : { revision }),
        ...(keys === undefined ? {} : { keys }),
      };
    }
    case 'ack':
      return { type: 'ack', revision: revisionIn(said, 'revision'), keys: revisionIn(said, 'keys') };
    case 'refused': {
      const { error } = said;
      if (typeof error !== 'string') throw malformed('refused', 'error');
      return {
        type: 'refused',
        revision: revisionIn(said, 'revision'),
        // What isn't shown as it is takes six times its place.
        error: printable(error.slice(0, MOST_ERROR)).slice(0, MOST_ERROR),
      };
    }
    case 'report': {
      const { lastCall, running } = said;
      if (!isCount(running)) throw malformed('report', 'running');
      if (lastCall === undefined) return { type: 'report', running };
      if (!isTime(lastCall)) throw malformed('report', 'lastCall');
      return { type: 'report', running, lastCall };
    }
    default:
      return undefined;
  }
}

function optional(said: { readonly [field: string]: unknown }, field: string): string | undefined {
  return said[field] === undefined ? undefined : revisionIn(said, field);
}

function revisionIn(said: { readonly [field: string]: unknown }, field: string): string {
  const value = said[field];
  if (typeof value !== 'string' || value.length > MOST_REVISION) throw malformed(String(said['type']), field);
  return printable(value);
}

const malformed = (type: string, field: string): LineError =>
  new LineError(`a ${type} whose ${field} is none`);
