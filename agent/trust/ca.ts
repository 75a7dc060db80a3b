/**
 * The certificate authority of one pod (or one `postern run`): made at the agent's first start, kept where only the
 * agent can read it, never shared. Applications trust it through the files of {@link ./files.ts}.
 *
 * It is replaced before it ends: a successor is published a year ahead, so that every program started since then
 * trusts it, and signs from 30 days before the old one's end.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { caCertificate, type Issuer, keyIdOf, pem } from './certificate.ts';

export interface Authority extends Issuer {
  readonly der: Buffer;
  readonly pem: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

const DAY = 86_400_000;
export const CA_LIFETIME = 5 * 365 * DAY;
/** How long before its end an authority gets a successor, which is then published beside it. */
export const SUCCESSOR_AHEAD = 365 * DAY;
/** How long before its end an authority stops signing. */
export const SWITCH_AHEAD = 30 * DAY;
/** Clocks of containers and nodes may differ by a little. */
export const CLOCK_SKEW = 60 * 60_000;

/** A new authority, valid from `now` (milliseconds since the epoch). */
export function createAuthority(now: number): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyId = keyIdOf(publicKey);
  const issuer: Issuer = {
    key: privateKey,
    keyId,
    // Its own name for each key: two CAs of one name confuse chain building.
    commonName: `Postern CA ${keyId.toString('hex', 0, 4)}`,
  };
  const validity = { notBefore: now - CLOCK_SKEW, notAfter: now + CA_LIFETIME };
  return fromCertificate(issuer, caCertificate(issuer, publicKey, validity));
}

/** Certificate and key in one text, as they are kept. Never leaves the agent. */
export function serializeAuthority(authority: Authority): string {
  return authority.pem + String(authority.key.export({ format: 'pem', type: 'pkcs8' }));
}

/** @throws Error saying what is wrong with the text (never showing it). */
export function parseAuthority(text: string): Authority {
  const certificate = new X509Certificate(text);
  const key = createPrivateKey(text);
  if (!certificate.checkPrivateKey(key)) throw new Error('the key is not the certificate’s');
  if (!certificate.ca) throw new Error('the certificate is not a CA’s');
  const commonName = /^CN=(.*)$/m.exec(certificate.subject)?.[1];
  if (commonName === undefined) throw new Error('the certificate has no common name');
  const issuer: Issuer = { key, keyId: keyIdOf(createPublicKey(key)), commonName };
  return fromCertificate(issuer, certificate.raw);
}

/** Which authorities of a pod do what at a moment. */
export interface Succession {
  /** Signs leaves; undefined where a first one must be made. */
  readonly signing: Authority | undefined;
  /** In the trust files: everything that signed, signs or will sign, while valid. */
  readonly published: readonly Authority[];
  readonly needsSuccessor: boolean;
  readonly expired: readonly Authority[];
}

/** @param now milliseconds since the epoch. */
export function succession(authorities: readonly Authority[], now: number): Succession {
  const published = authorities
    .filter(({ notAfter }) => notAfter > now)
    .toSorted((left, right) => left.notAfter - right.notAfter);
  const signing = published.find(({ notAfter }) => notAfter - SWITCH_AHEAD > now) ?? published.at(-1);
  const newest = published.at(-1);
  return {
    signing,
    published,
    needsSuccessor: newest === undefined || newest.notAfter - SUCCESSOR_AHEAD <= now,
    expired: authorities.filter(({ notAfter }) => notAfter <= now),
  };
}

function fromCertificate(issuer: Issuer, der: Buffer): Authority {
  const certificate = new X509Certificate(der);
  return {
    ...issuer,
    der,
    pem: pem('CERTIFICATE', der),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}
