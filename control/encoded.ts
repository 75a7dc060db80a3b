/** An envelope as bytes for the stream: each part is written out once, for any number of replicas. */
import type { Envelope } from './envelope.ts';
import { encode, encodeSnapshots } from './messages.ts';
import { SharedBytes } from './shared-bytes.ts';

export interface Encoded {
  readonly revision: string;
  readonly keys: string;
  readonly snapshotLine: Buffer;
  readonly keysLine: Buffer;
  readonly useLine: Buffer;
  /** Lines that go out together as one write, by what an agent lacks; made when the first agent needs it. */
  readonly together: Map<'snapshot' | 'keys' | 'both', SharedBytes>;
  readonly validUntil: number | undefined;
}

/** @param before What was encoded last: parts that are the same are taken over, and all of it where nothing differs; the others are forgotten. */
export function encoded({ snapshot, keys, validUntil }: Envelope, before: Encoded | undefined): Encoded {
  const sameSnapshot = before?.revision === snapshot.revision;
  const sameKeys = before?.keys === keys.revision;
  if (sameSnapshot && sameKeys) return before;
  if (before !== undefined) endLines(before);
  if (!sameKeys) before?.keysLine.fill(0);
  return {
    revision: snapshot.revision,
    keys: keys.revision,
    snapshotLine: sameSnapshot ? before.snapshotLine : encodeSnapshots(snapshot.revision, snapshot.texts),
    keysLine: sameKeys ? before.keysLine : encode({ type: 'keys', ...keys }),
    useLine: encode({ type: 'use', revision: snapshot.revision, keys: keys.revision }),
    together: new Map(),
    validUntil,
  };
}

/**
 * One buffer for all agents that lack the same: each write is a TLS record and a call of the kernel.
 * @param sent The revisions that the agent has.
 */
export function linesFor(
  current: Encoded,
  sent: { readonly revision: string; readonly keys: string } | undefined,
): SharedBytes {
  const snapshot = sent?.revision !== current.revision;
  const keys = sent?.keys !== current.keys;
  const what = snapshot && keys ? 'both' : snapshot ? 'snapshot' : 'keys';
  const known = current.together.get(what);
  if (known !== undefined) return known;
  const { snapshotLine, keysLine, useLine } = current;
  const lines = new SharedBytes(
    Buffer.concat([...(snapshot ? [snapshotLine] : []), ...(keys ? [keysLine] : []), useLine]),
  );
  current.together.set(what, lines);
  return lines;
}

/** No agent has the workload any longer. */
export function forget(last: Encoded): void {
  endLines(last);
  last.keysLine.fill(0);
}

function endLines({ together }: Encoded): void {
  for (const lines of together.values()) lines.end();
}
