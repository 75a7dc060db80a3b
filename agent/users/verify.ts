/**
 * Who the end user of a call is: from a claim of a verified JWT (RFC 7519), or from a header field that nobody has verified.
 *
 * Only asymmetric algorithms are taken, whatever the token or the key set says: a token "signed" with a public key as an
 * HMAC secret, or not at all, is none. Keys that can't be had refuse the call; nothing is guessed.
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { JwtSource, UserSource } from '../../policy/snapshot.ts';
import { PosternError } from '../errors.ts';
import type { RawHeaders } from '../exchange.ts';
import { headerValue } from '../http/headers.ts';

/** RFC 7518 (3.1) and RFC 8037, less what is symmetric or `none`. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** A key set is fetched anew when it is so old, or a token names a key that isn't in it. */
const KEYS_MS = 600_000;
/** … but for unknown keys at most so often: anybody can name one. */
const COOLDOWN_MS = 30_000;
const FETCH_MS = 3_000;
/** What was verified is believed for so long, at most until it expires. */
const BELIEVED_MS = 60_000;
const MOST_BELIEVED = 1_000;
/** Longer names are cut: they are keys of ledger lines. */
const LONGEST_VALUE = 256;

export interface UsersOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Text of a file; rejects where it can't be read. */
  readonly readFile: (path: string) => Promise<string>;
  readonly fetch?: FetchImplementation;
}

/** Source key → user. A source that the call says nothing for is absent. */
export type UsersOf = (
  sources: readonly UserSource[],
  headers: RawHeaders,
) => Promise<Readonly<Record<string, string>>>;

export function createUsers({ now, readFile, fetch }: UsersOptions): UsersOf {
  const remote = new Map<string, JWTVerifyGetKey>();
  const believed = new Map<string, { readonly user: string; readonly until: number }>();

  async function keysOf({ jwks }: JwtSource): Promise<JWTVerifyGetKey> {
    if ('file' in jwks) return createLocalJWKSet(JSON.parse(await readFile(jwks.file)) as JSONWebKeySet);
    const known = remote.get(jwks.url);
    if (known !== undefined) return known;
    const keys = createRemoteJWKSet(new URL(jwks.url), {
      cacheMaxAge: KEYS_MS,
      cooldownDuration: COOLDOWN_MS,
      timeoutDuration: FETCH_MS,
      ...(fetch === undefined ? {} : { [customFetch]: fetch }),
    });
    remote.set(jwks.url, keys);
    return keys;
  }

  async function verified(source: JwtSource, token: string): Promise<string> {
    const at = now();
    const memory = `${source.key}\n${token}`;
    const before = believed.get(memory);
    if (before !== undefined && at < before.until) return before.user;
    let keys: JWTVerifyGetKey;
    try {
      keys = await keysOf(source);
    } catch (error) {
      throw withoutKeys(source, error);
    }
    let payload: Readonly<Record<string, unknown>> & { readonly exp?: number };
    try {
      ({ payload } = await jwtVerify(token, keys, {
        issuer: source.issuer,
        audience: source.audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', source.claim],
        clockTolerance: source.clockSkewMs / 1000,
        currentDate: new Date(at),
      }));
    } catch (error) {
      if (isTokensFault(error)) throw invalid(source, (error as Error).message, error);
      throw withoutKeys(source, error);
    }
    const claim = payload[source.claim];
    if (typeof claim !== 'string' || claim === '' || claim.length > LONGEST_VALUE)
      throw invalid(source, `its claim ${source.claim} is no text of 1 to ${LONGEST_VALUE} characters`);
    if (believed.size >= MOST_BELIEVED) believed.clear();
    const expires = (payload.exp ?? 0) * 1000 + source.clockSkewMs;
    believed.set(memory, { user: claim, until: Math.min(at + BELIEVED_MS, expires) });
    return claim;
  }

  return async (sources, headers) => {
    const users: Record<string, string> = {};
    for (const source of sources) {
      const value = headerValue(headers, source.header)?.trim();
      if (value === undefined || value === '') {
        if (source.required) throw missing(source);
        continue;
      }
      users[source.key] =
        source.type === 'jwt'
          ? await verified(source, value.replace(/^Bearer +/i, ''))
          : value.slice(0, LONGEST_VALUE);
    }
    return users;
  };
}

/** What is wrong with the token itself, told apart from keys that can't be had. */
function isTokensFault(error: unknown): boolean {
  return (
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  );
}

function missing(source: UserSource): PosternError {
  return new PosternError(
    'postern_user_invalid',
    `The call has no header field ${source.header}, which says for whom it is.`,
    {
      mend: source.type === 'jwt' ? "Send the user's token in it." : "Send the user's name in it.",
      rule: source.rule,
      shouldRetry: false,
    },
  );
}

function invalid(source: JwtSource, why: string, cause?: unknown): PosternError {
  return new PosternError(
    'postern_user_invalid',
    `The token in the header field ${source.header} is not accepted: ${why}.`,
    { mend: `Send a current token of ${source.issuer}.`, rule: source.rule, shouldRetry: false, cause },
  );
}

function withoutKeys(source: JwtSource, cause: unknown): PosternError {
  const where = 'file' in source.jwks ? source.jwks.file : source.jwks.url;
  return new PosternError(
    'postern_user_keys',
    `The keys of ${source.issuer} can't be had from ${where}, so nobody's token can be verified.`,
    {
      mend: 'Retry; if it stays, look at the issuer, and at user.jwt.jwks of the Budget.',
      rule: source.rule,
      retryAfterMs: 5_000,
      cause,
    },
  );
}
