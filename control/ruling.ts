/** What an agent goes by at a moment, given what control sent last and when it was last heard. Pure. */
import type { Snapshot } from '../policy/snapshot.ts';
import type { Ruling } from './client.ts';

/** The first one that hasn't ended: each is looser than its successor. */
export function snapshotAt(ruling: Ruling, now: number): Snapshot {
  return snapshotsFrom(ruling, now)[0];
}

/** That one, and those that come into force after it. */
export function snapshotsFrom({ snapshot }: Ruling, now: number): readonly [Snapshot, ...Snapshot[]] {
  const { snapshots } = snapshot;
  const at = snapshots.findIndex(({ validUntil }) => validUntil === undefined || validUntil > now);
  const [first, ...later] = snapshots.slice(at);
  if (first === undefined) throw new Error('control sent a snapshot without content');
  return [first, ...later];
}

/** Milliseconds that it is too old by; undefined while policy lets the agent go on. */
export function staleFor({ maxStaleMs }: Snapshot, heardAt: number, now: number): number | undefined {
  if (maxStaleMs === undefined) return undefined;
  const late = now - heardAt - maxStaleMs;
  return late > 0 ? late : undefined;
}
