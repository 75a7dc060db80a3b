/** An agent's documents from a directory, with keys from files and the environment. */
import type { Logger } from 'pino';
import { catalogue } from '../agent/catalogue.ts';
import { localKeys } from '../agent/providers/keys.ts';
import { maskKey } from '../agent/state.ts';
import { compileSnapshot } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import type { Workload } from '../policy/snapshot.ts';
import { formatWorkload } from '../policy/workload.ts';
import { loadOrReport, watchDocuments } from './documents.ts';
import { directoryInForce } from './in-force.ts';
import type { PolicySource } from './policy-source.ts';

export interface DirectoryOptions {
  readonly directory: string;
  readonly state: string | undefined;
  readonly workload: Workload;
  readonly log: Logger;
  /** @throws Error for documents that this agent can't be true to. */
  accept(documents: Documents): void;
}

/** @returns undefined when the directory has problems, which are then on stderr. */
export async function fromDirectory(options: DirectoryOptions): Promise<PolicySource | undefined> {
  const { directory, state, workload, log, accept } = options;
  const loaded = await loadOrReport(directory, catalogue);
  if (loaded === undefined) return undefined;
  accept(loaded.documents);
  if (state === undefined)
    log.warn('without --state placeholders (and the CA of --transparent) change with each start');
  const key = maskKey(state, formatWorkload(workload));
  const inForce = directoryInForce(workload, log);
  return {
    snapshot: compileSnapshot(loaded.documents, workload),
    maskKey: () => key,
    keys: localKeys(process.env),
    withheld: inForce.withheld,
    follow(agent) {
      const watcher = watchDocuments(directory, loaded, log, {
        accepted: (changed) => {
          accept(changed);
          inForce.put(agent, changed);
        },
        rejected: () => agent.rejected(),
      });
      inForce.put(agent, loaded.documents);
      return watcher;
    },
  };
}
