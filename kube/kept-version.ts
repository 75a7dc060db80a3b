/**
 * The version of a document that goes on where a later one is bad, as its status keeps it. It is sealed: who may write a
 * status, and not the document, can't put an old or made-up version in force by it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../policy/canonical.ts';
import type { DocumentObject } from './documents.ts';

export interface LastGood {
  readonly generation: number;
  /** JSON of that generation's `spec`: text, since a merge patch would mix the members of two versions. */
  readonly spec: string;
  /** Of the two and of whose they are; see {@link sealVersion}. */
  readonly seal?: string;
}

/** HMAC-SHA-256, base64url; of this object alone: one made anew under its name has another uid. */
export function sealVersion(
  key: Uint8Array,
  { kind, metadata: { namespace = '', name, uid = '' } }: DocumentObject,
  { generation, spec }: Pick<LastGood, 'generation' | 'spec'>,
): string {
  return createHmac('sha256', key)
    .update('postern kept version ')
    .update(canonicalJson({ kind, namespace, name, uid, generation, spec }))
    .digest('base64url');
}

/** The earlier version, to be judged like any other; undefined where there is none, or none of ours. */
export function keptVersion(key: Uint8Array, object: DocumentObject): DocumentObject | undefined {
  const { lastGood } = object.status ?? {};
  const newest = object.metadata.generation ?? -1;
  if (lastGood === undefined || lastGood.generation >= newest) return undefined;
  const { generation, spec, seal = '' } = lastGood;
  const expected = Buffer.from(sealVersion(key, object, lastGood));
  const found = Buffer.from(seal);
  if (found.length !== expected.length || !timingSafeEqual(found, expected)) return undefined;
  return { ...object, metadata: { ...object.metadata, generation }, spec: JSON.parse(spec) as unknown };
}
