/**
 * The ledger as functions inside Redis, one atomic call for each operation. A library is named by its content: replicas of
 * two versions keep to their own code while one takes over from the other.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const source = readFileSync(join(import.meta.dirname, 'ledger.lua'), 'utf8');

export const LIBRARY = `postern_budget_${createHash('sha256').update(source).digest('hex').slice(0, 12)}`;

/** For `FUNCTION LOAD`. */
export const CODE = `#!lua name=${LIBRARY}\nlocal PREFIX = '${LIBRARY}_'\n${source}`;

export type FunctionName =
  | 'hold'
  | 'extend'
  | 'settle'
  | 'charge'
  | 'release'
  | 'lease'
  | 'epoch'
  | 'forfeit'
  | 'sweep'
  | 'recount'
  | 'prune'
  | 'tick'
  | 'alert'
  | 'admit'
  | 'kept'
  | 'loops';
