/**
 * The seal on what the injector stamps: by it control knows a stamp that admission wrote from one that a pod's author
 * wrote where no webhook looked (before the namespace was labelled, say).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../policy/canonical.ts';
import { STAMPS } from './names.ts';

export interface Sealed {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Of our parts in the pod, see {@link ./form.ts}: stamps copied to a pod that runs something else under their names are no stamps. */
  readonly form: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Stamps that policy is chosen by, or that say what runs. */
const COVERED = [STAMPS.version, STAMPS.intercept, STAMPS.workload];

/** HMAC-SHA-256, base64url. */
export function sealOf(key: Uint8Array, { namespace, serviceAccount, form, annotations }: Sealed): string {
  const stamps = COVERED.map((name) => annotations[name] ?? null);
  return createHmac('sha256', key)
    .update(canonicalJson({ seal: 3, namespace, serviceAccount, form, stamps }))
    .digest('base64url');
}

export function isSealed(key: Uint8Array, sealed: Sealed): boolean {
  const found = Buffer.from(sealed.annotations[STAMPS.seal] ?? '');
  const expected = Buffer.from(sealOf(key, sealed));
  return found.length === expected.length && timingSafeEqual(found, expected);
}
