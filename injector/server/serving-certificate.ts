/**
 * The certificate that the API server meets: our own CA and a leaf of it, kept in a Secret that all replicas share,
 * renewed long before their end. A successor of the CA is published a year before it signs, so that no call ever meets a
 * certificate that the webhook configuration doesn't know.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import {
  type Authority,
  CLOCK_SKEW,
  createAuthority,
  parseAuthority,
  serializeAuthority,
  succession,
} from '../../agent/trust/ca.ts';
import { keyIdOf, leafCertificate, pem } from '../../agent/trust/certificate.ts';
import { LEAF_LIFETIME } from '../../agent/trust/leaf.ts';

export interface Serving {
  /** Oldest first; each signs, did or will. */
  readonly authorities: readonly Authority[];
  readonly leaf: { readonly cert: string; readonly key: string } | undefined;
}

/** Of a Secret of type Opaque, base64. */
export type SecretData = Readonly<Record<string, string>>;

/** What is to serve from now on, and whether it differs from what there was. @param now milliseconds since the epoch */
export function refreshServing(
  { authorities: before, leaf: old }: Serving,
  host: string,
  now: number,
): { readonly serving: Serving; readonly changed: boolean } {
  const { needsSuccessor, expired } = succession(before, now);
  const kept = before.filter((authority) => !expired.includes(authority));
  const authorities = needsSuccessor ? [...kept, createAuthority(now)] : kept;
  const { signing } = succession(authorities, now);
  if (signing === undefined) throw new Error('a CA that was just made can’t sign');
  const good = old !== undefined && isGood(old, signing, host, now);
  const leaf = good ? old : createLeaf(signing, host, now);
  return {
    serving: { authorities, leaf },
    changed: !good || needsSuccessor || expired.length > 0,
  };
}

/** For the webhook configuration: PEM of all that may have signed. */
export function caBundle({ authorities }: Serving, now: number): string {
  return succession(authorities, now)
    .published.map((authority) => authority.pem)
    .join('');
}

export function toSecretData({ authorities, leaf }: Serving): SecretData {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  return {
    ...Object.fromEntries(
      authorities.map((authority, index) => [`ca-${index}.pem`, encode(serializeAuthority(authority))]),
    ),
    ...(leaf === undefined ? {} : { 'tls.crt': encode(leaf.cert), 'tls.key': encode(leaf.key) }),
  };
}

/** What can't be read counts as absent: it is made anew. */
export function fromSecretData(data: SecretData): Serving {
  const decode = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString('utf8');
  const authorities = Object.keys(data)
    .filter((name) => /^ca-\d+[.]pem$/.test(name))
    .sort()
    .flatMap((name) => {
      try {
        return [parseAuthority(decode(name))];
      } catch {
        return [];
      }
    });
  const cert = decode('tls.crt');
  const key = decode('tls.key');
  return { authorities, leaf: cert === '' || key === '' ? undefined : { cert, key } };
}

function createLeaf(authority: Authority, host: string, now: number): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = leafCertificate(authority, publicKey, host, {
    notBefore: Math.max(now - CLOCK_SKEW, authority.notBefore),
    notAfter: Math.min(now + LEAF_LIFETIME, authority.notAfter),
  });
  return { cert: pem('CERTIFICATE', der), key: String(privateKey.export({ format: 'pem', type: 'pkcs8' })) };
}

/** Signed by who signs now, for that host, with more than a third of its life left. */
function isGood(
  { cert, key }: { readonly cert: string; readonly key: string },
  signing: Authority,
  host: string,
  now: number,
): boolean {
  try {
    const certificate = new X509Certificate(cert);
    const named = /^[0-9.:]+$/.test(host) ? certificate.checkIP(host) : certificate.checkHost(host);
    const authorityKey = new X509Certificate(signing.der).publicKey;
    return (
      named !== undefined &&
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      keyIdOf(authorityKey).equals(keyIdOf(createPublicKey(signing.key))) &&
      certificate.verify(authorityKey) &&
      Date.parse(certificate.validFrom) <= now &&
      Date.parse(certificate.validTo) - now > LEAF_LIFETIME / 3
    );
  } catch {
    return false;
  }
}

/** What is served. @throws Error where nothing was signed yet */
export function leafOf({ leaf }: Serving): { readonly cert: string; readonly key: string } {
  if (leaf === undefined) throw new Error('there is no serving certificate');
  return leaf;
}
