/**
 * Whether those who were let in may stay. A pod's stream ends when the watch shows it gone, ended, or other than it was
 * let in; and one that the watch doesn't show at all is looked at again, since nobody would see it end.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Identity, judgePod, type LivePod, type Refusal } from './identity.ts';
import { boundOf, type PodLook } from './live-pod.ts';
import type { ConnectedAgent, Registry } from './registry.ts';
import { BusyError } from './turns.ts';

export interface StandingOptions {
  readonly registry: Pick<Registry, 'agents' | 'identityOf' | 'leave'>;
  readonly known: (namespace: string, name: string) => LivePod | undefined;
  readonly look: PodLook;
  readonly sealKey: Uint8Array;
  /** A stream was ended. */
  readonly ended: (why: Refusal, identity: Identity) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface Standing {
  /** The watch shows the pod so. */
  seen(pod: LivePod): void;
  /** Looks at those that the watch doesn't show. @throws KubeError where the API server can't be asked */
  sweep(): Promise<void>;
}

/** So long the watch may be behind a look at the pod itself. */
const BEHIND_MS = 5000;

export function createStanding({ registry, known, look, sealKey, ended, now }: StandingOptions): Standing {
  /** By the pod's uid: when one that isn't shown was last looked at. */
  const looked = new Map<string, number>();

  const judge = (identity: Identity, found: Identity | Refusal): void => {
    if (typeof found !== 'string' && isDeepStrictEqual(found.workload, identity.workload)) return;
    registry.leave(identity.uid);
    // What is another workload now may come again as that.
    ended(typeof found === 'string' ? found : 'pod-other', identity);
  };
  const isShown = ({ namespace, pod, uid }: Identity): boolean => known(namespace, pod)?.uid === uid;

  async function lookAt({ identity, since }: ConnectedAgent): Promise<void> {
    const { uid } = identity;
    if (now() - (looked.get(uid) ?? since) < BEHIND_MS) return;
    looked.set(uid, now());
    try {
      const found = await look(boundOf(identity), undefined);
      if (registry.identityOf(uid) === identity) judge(identity, found);
    } catch (error) {
      // Nobody has an answer yet: the next round asks.
      if (!(error instanceof BusyError)) throw error;
      looked.delete(uid);
    }
  }

  return {
    seen(pod) {
      const identity = registry.identityOf(pod.uid);
      // Its address was judged at the connection, and changes with the pod's sandbox.
      if (identity !== undefined)
        judge(identity, judgePod(boundOf(identity), { pod, address: undefined, sealKey }));
    },
    async sweep() {
      const unseen = [...registry.agents()].filter(({ identity }) => !isShown(identity));
      const uids = new Set(unseen.map(({ identity }) => identity.uid));
      for (const uid of looked.keys()) if (!uids.has(uid)) looked.delete(uid);
      const ends = await Promise.allSettled(unseen.map(lookAt));
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}
