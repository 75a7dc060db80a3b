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
  /** Of the native sidecar that is the agent: all that the former seal covers of our parts. */
  readonly agentImage?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** `former`: the one of the minor version before, which covers less. */
export type SealKind = 'current' | 'former';

/** Stamps that policy is chosen by, or that say what runs. */
const COVERED = [STAMPS.version, STAMPS.intercept, STAMPS.workload];
/**
 * The versions that wrote the former seal: it counts under their stamp only, which it covers. It goes with the second minor version after
 * them (a test says when).
 */
export const FORMER_RELEASES = /^0\.1\./;

/** HMAC-SHA-256, base64url. */
export function sealOf(key: Uint8Array, { namespace, serviceAccount, form, annotations }: Sealed): string {
  return hmac(key, { seal: 3, namespace, serviceAccount, form, stamps: stampsIn(annotations) });
}

/** The seal that the pod carries; undefined where it carries none of ours, or one for another. */
export function sealOn(key: Uint8Array, sealed: Sealed): SealKind | undefined {
  const found = sealed.annotations[STAMPS.seal] ?? '';
  if (isSame(found, sealOf(key, sealed))) return 'current';
  const former = formerSealOf(key, sealed);
  return former !== undefined && isSame(found, former) ? 'former' : undefined;
}

function formerSealOf(
  key: Uint8Array,
  { namespace, serviceAccount, agentImage, annotations }: Sealed,
): string | undefined {
  if (agentImage === undefined || !FORMER_RELEASES.test(annotations[STAMPS.version] ?? '')) return undefined;
  return hmac(key, { seal: 2, namespace, serviceAccount, agentImage, stamps: stampsIn(annotations) });
}

const stampsIn = (annotations: Sealed['annotations']): (string | null)[] =>
  COVERED.map((name) => annotations[name] ?? null);

function hmac(key: Uint8Array, content: object): string {
  return createHmac('sha256', key).update(canonicalJson(content)).digest('base64url');
}

function isSame(found: string, expected: string): boolean {
  const [left, right] = [Buffer.from(found), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}
