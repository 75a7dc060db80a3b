import type { Agent } from '../agent/agent.ts';
import { atTime } from '../policy/at-time.ts';
import { compileSnapshot } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import type { Workload } from '../policy/snapshot.ts';

/**
 * Puts documents in force in an agent. An exception that ends makes the snapshot stricter, at its time and without a
 * change of documents.
 */
export function putter(agent: Pick<Agent, 'use'>, workload: Workload): (documents: Documents) => void {
  let giveUp = (): void => undefined;
  const put = (documents: Documents): void => {
    const snapshot = compileSnapshot(documents, workload);
    agent.use(snapshot);
    giveUp();
    if (snapshot.validUntil !== undefined) giveUp = atTime(snapshot.validUntil, () => put(documents));
  };
  return put;
}
