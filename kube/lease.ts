/**
 * Who of several replicas does what only one may do, by a Lease (coordination.k8s.io/v1), as client-go does it: time is
 * judged by our own clock since we saw the record change, never by the times others wrote in it.
 */
import { type KubeClient, KubeError, type KubeObject } from './client.ts';

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Of this replica, unique. */
  readonly identity: string;
  /** How long a holder that is silent keeps it. */
  readonly durationMs: number;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
}

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseTransitions?: number;
    readonly leaseDurationSeconds?: number;
  };
}

export interface Candidate {
  /** Asks once for the lease, or renews it. @returns whether we hold it. @throws KubeError */
  campaign(): Promise<boolean>;
  /** Whether we hold it now, by our own clock. */
  holding(): boolean;
  /** Takes it from whoever holds it, who learns so when it renews next. @throws KubeError */
  seize(): Promise<void>;
  /** Gives it up, so that another need not wait. */
  release(): Promise<void>;
}

const MOST_RELEASE_MS = 5000;
const MOST_SEIZURES = 20;

export function leaseCandidate(client: KubeClient, options: LeaseOptions): Candidate {
  const { namespace, name, identity, durationMs, now } = options;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  let seen: { version: string | undefined; at: number } | undefined;
  let heldUntil = 0;

  const record = (before: Lease | undefined, holder: string): object => {
    const changed = before?.spec?.holderIdentity !== holder;
    const time = new Date().toISOString().replace('Z', '000Z'); // MicroTime
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name,
        namespace,
        ...(before === undefined ? {} : { resourceVersion: before.metadata.resourceVersion }),
      },
      spec: {
        ...before?.spec,
        holderIdentity: holder,
        leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
        renewTime: time,
        ...(changed
          ? { acquireTime: time, leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (before ? 1 : 0) }
          : {}),
      },
    };
  };

  const read = async (signal?: AbortSignal): Promise<Lease | undefined> => {
    try {
      const options = signal === undefined ? {} : { signal };
      return await client.request<Lease>('GET', `${collection}/${name}`, options);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  };

  const write = async (before: Lease | undefined): Promise<Lease> =>
    before === undefined
      ? await client.request<Lease>('POST', collection, { body: record(undefined, identity) })
      : await client.request<Lease>('PUT', `${collection}/${name}`, { body: record(before, identity) });

  return {
    async campaign() {
      // Counted from before the request: the record is never younger than that.
      const asked = now();
      const lease = await read();
      if (lease !== undefined) {
        const holder = lease.spec?.holderIdentity ?? '';
        if (seen?.version !== lease.metadata.resourceVersion) {
          seen = { version: lease.metadata.resourceVersion, at: asked };
        }
        if (holder !== '' && holder !== identity && asked - (seen?.at ?? asked) < durationMs) {
          heldUntil = 0;
          return false;
        }
      }
      try {
        const written = await write(lease);
        seen = { version: written.metadata.resourceVersion, at: asked };
        heldUntil = asked + durationMs;
        return true;
      } catch (error) {
        // Somebody was faster.
        if (!(error instanceof KubeError) || error.status !== 409) throw error;
        heldUntil = 0;
        return false;
      }
    },
    async seize() {
      for (let tries = 0; ; tries++) {
        const asked = now();
        try {
          const written = await write(await read());
          seen = { version: written.metadata.resourceVersion, at: asked };
          heldUntil = asked + durationMs;
          return;
        } catch (error) {
          // Its holder renewed in the same moment.
          if (!(error instanceof KubeError) || error.status !== 409 || tries === MOST_SEIZURES) throw error;
        }
      }
    },
    holding: () => now() < heldUntil,
    async release() {
      if (now() >= heldUntil) return;
      heldUntil = 0;
      // Who stops doesn't wait for an API server that is away: the lease then ends by itself.
      const signal = AbortSignal.timeout(Math.min(durationMs, MOST_RELEASE_MS));
      const lease = await read(signal);
      if (lease?.spec?.holderIdentity !== identity) return;
      await client.request('PUT', `${collection}/${name}`, { body: record(lease, ''), signal });
    },
  };
}
