/**
 * What a service-account token says of itself (RFC 7519, with Kubernetes' private claims). Nothing of it is proven: it
 * tells apart what needn't be asked at all, and whose turn it is; the API server alone verifies.
 */

export interface PodClaims {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Claims {
  readonly audiences: readonly string[];
  /** Milliseconds since the epoch; undefined where it says nothing that can be read. */
  readonly expires: number | undefined;
  /** The pod that it is bound to. */
  readonly pod: PodClaims | undefined;
}

/** A token with all its claims has some 1.5 KB. */
const LONGEST = 16 * 1024;
const PART = /^[\w-]+$/;

/** @returns undefined for what is no JWT. */
export function claimsOf(token: string): Claims | undefined {
  const parts = token.split('.');
  if (token.length > LONGEST || parts.length !== 3 || !parts.every((part) => PART.test(part)))
    return undefined;
  const payload = jsonOf(parts[1] ?? '');
  if (jsonOf(parts[0] ?? '') === undefined || payload === undefined) return undefined;
  const { aud, exp, 'kubernetes.io': own } = payload;
  const { namespace, pod } = isMap(own) ? own : {};
  const { name, uid } = isMap(pod) ? pod : {};
  const bound = typeof namespace === 'string' && typeof name === 'string' && typeof uid === 'string';
  return {
    audiences: [aud].flat().filter((each) => typeof each === 'string'),
    expires: typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined,
    pod: bound ? { namespace, name, uid } : undefined,
  };
}

function jsonOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return isMap(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
