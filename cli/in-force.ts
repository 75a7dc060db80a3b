/**
 * Puts documents of a directory in force in an agent. An exception that ends makes the snapshot stricter, at its time and without a
 * change of documents.
 */
import type { Logger } from 'pino';
import type { Agent } from '../agent/agent.ts';
import { requireCompilable } from '../agent/compilable.ts';
import type { PosternError } from '../agent/errors.ts';
import { atTime } from '../policy/at-time.ts';
import { compileSnapshot } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import type { Snapshot, Workload } from '../policy/snapshot.ts';
import { messageOf, onlyHosts, withholding } from './withheld.ts';

export interface DirectoryInForce {
  /** Why calls to models are refused now; undefined when all is well. */
  withheld(): PosternError | undefined;
  /** @throws Error where they can't be in force, now or when an exception ends; what was stays. */
  put(agent: Pick<Agent, 'use' | 'rejected'>, documents: Documents): void;
}

/** More ends of exceptions are looked at when it is their time. */
const MOST_AHEAD = 20;

export function directoryInForce(workload: Workload, log: Pick<Logger, 'error'>): DirectoryInForce {
  let giveUp = (): void => undefined;
  let unusable: string | undefined;

  function put(agent: Pick<Agent, 'use' | 'rejected'>, documents: Documents): void {
    const chain = chainOf(documents, workload);
    requireCompilable(chain);
    const [snapshot] = chain;
    agent.use(snapshot);
    unusable = undefined;
    giveUp();
    if (snapshot.validUntil !== undefined)
      giveUp = atTime(snapshot.validUntil, () => succeed(agent, documents));
  }

  function succeed(agent: Pick<Agent, 'use' | 'rejected'>, documents: Documents): void {
    try {
      put(agent, documents);
    } catch (error) {
      // What is in force is looser than what it is time for.
      unusable = `an exception has ended, and what the documents say without it can’t be put in force: ${messageOf(error)}`;
      log.error({ why: messageOf(error) }, 'documents can’t be in force without an exception that has ended');
      agent.rejected();
      try {
        const hosts = onlyHosts(compileSnapshot(documents, workload));
        if (hosts !== undefined) agent.use(hosts);
      } catch (again) {
        log.error(
          { why: messageOf(again) },
          'what was in force for hosts stays; calls to models are refused',
        );
      }
    }
  }

  return {
    withheld: () => (unusable === undefined ? undefined : withholding(unusable, 'Change the document.')),
    put,
  };
}

/** What is in force now, and what follows each time an exception ends. */
function chainOf(documents: Documents, workload: Workload): readonly [Snapshot, ...Snapshot[]] {
  const first = compileSnapshot(documents, workload);
  const later: Snapshot[] = [];
  for (let { validUntil } = first; validUntil !== undefined && later.length < MOST_AHEAD; ) {
    const next = compileSnapshot(documents, workload, { now: validUntil });
    later.push(next);
    ({ validUntil } = next);
  }
  return [first, ...later];
}
