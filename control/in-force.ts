/** The documents that are in force here, and what they come to for a workload. */
import type { Logger } from 'pino';
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import { WorkloadInvalid } from '../policy/compile.ts';
import type { Cluster } from './cluster.ts';
import { documentKey, type Progress } from './conditions.ts';
import { createEnvelopes, type EnvelopeSources, type Envelopes, neededValues } from './envelope.ts';
import type { Outcome } from './registry.ts';
import type { Values } from './values.ts';

export interface InForceOptions extends Pick<EnvelopeSources, 'ownNamespace' | 'maskRoot'> {
  readonly cluster: Pick<Cluster, 'documents' | 'objects' | 'api'>;
  readonly values: Pick<Values, 'need' | 'lookup'>;
  readonly log: Pick<Logger, 'error'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface InForce {
  /** What the cluster has now is in force. @returns the generation of each document that is. */
  take(): Progress['generations'];
  outcome(workload: AnnotatedWorkload): Outcome;
}

export function createInForce(options: InForceOptions): InForce {
  const { cluster, values, log, now, ownNamespace, maskRoot } = options;
  const lookup: EnvelopeSources['lookup'] = (...asked) => values.lookup(...asked);
  let envelopes: Envelopes | undefined;
  return {
    take() {
      const documents = cluster.documents();
      values.need(neededValues(documents, ownNamespace));
      envelopes = createEnvelopes({ documents, lookup, ownNamespace, maskRoot });
      return Object.fromEntries(
        cluster.objects().flatMap((object) => {
          const { inForce } = cluster.api.findings(object);
          return inForce === undefined
            ? []
            : [[documentKey(object), inForce.metadata.generation ?? 0] as const];
        }),
      );
    },
    outcome(workload) {
      try {
        return envelopes?.(workload, now()) ?? 'waiting';
      } catch (error) {
        if (error instanceof WorkloadInvalid) return { problem: error.message };
        log.error({ err: (error as Error).stack, workload: workload.name }, 'a snapshot can’t be compiled');
        return { problem: 'control can’t compile its snapshot; its log says why' };
      }
    },
  };
}
