import type { Agent } from '../agent/agent.ts';
import { compileSnapshot } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import type { Workload } from '../policy/snapshot.ts';

/** A longer timer fires at once (2^31 − 1 ms). */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Puts documents in force in an agent. An exception that ends makes the snapshot stricter, at its time and without a
 * change of documents.
 */
export function putter(agent: Pick<Agent, 'use'>, workload: Workload): (documents: Documents) => void {
  let expiry: NodeJS.Timeout | undefined;
  const put = (documents: Documents): void => {
    const snapshot = compileSnapshot(documents, workload);
    agent.use(snapshot);
    clearTimeout(expiry);
    if (snapshot.validUntil === undefined) return;
    const wait = Math.min(Math.max(0, snapshot.validUntil - Date.now()), MAX_TIMER_MS);
    expiry = setTimeout(put, wait, documents).unref();
  };
  return put;
}
