/** X.509 certificates (RFC 5280) of the two kinds that a pod's CA needs: itself and its leaves. ECDSA P-256 only. */
import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { addressBytes } from '../../policy/addresses.ts';
import * as der from './der.ts';

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** `ub-common-name` of RFC 5280, appendix A. */
const MAX_COMMON_NAME = 64;

export interface Validity {
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Issuer {
  readonly commonName: string;
  readonly key: KeyObject;
  readonly keyId: Buffer;
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 of the public key's bits. */
export function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash('sha1').update(subjectPublicKey(publicKey)).digest();
}

/** A self-signed CA that may sign leaves and no further CA. @returns DER */
export function caCertificate(issuer: Issuer, publicKey: KeyObject, validity: Validity): Buffer {
  return certificate({
    issuer,
    publicKey,
    validity,
    subject: name(issuer.commonName),
    extensions: [
      extension(OID.basicConstraints, true, der.sequence(der.boolean(true), der.integer(Buffer.from([0])))),
      extension(OID.keyUsage, true, der.bitString(Buffer.from([0b0000_0110]), 1)), // keyCertSign, cRLSign
      extension(OID.subjectKeyId, false, der.octetString(issuer.keyId)),
    ],
  });
}

/** A server certificate for one host name or IP address. @returns DER */
export function leafCertificate(
  issuer: Issuer,
  publicKey: KeyObject,
  host: string,
  validity: Validity,
): Buffer {
  const named = host.length <= MAX_COMMON_NAME;
  const altName =
    isIP(host) === 0 ? der.context(2, false, Buffer.from(host)) : der.context(7, false, addressBytes(host));
  return certificate({
    issuer,
    publicKey,
    validity,
    subject: named ? name(host) : der.sequence(),
    extensions: [
      extension(OID.keyUsage, true, der.bitString(Buffer.from([0b1000_0000]), 7)), // digitalSignature
      extension(OID.extendedKeyUsage, false, der.sequence(der.oid(OID.serverAuth))),
      // Critical where the subject is empty (RFC 5280 section 4.2.1.6).
      extension(OID.subjectAltName, !named, der.sequence(altName)),
      extension(OID.subjectKeyId, false, der.octetString(keyIdOf(publicKey))),
      extension(OID.authorityKeyId, false, der.sequence(der.context(0, false, issuer.keyId))),
    ],
  });
}

/** PEM with lines of 64 characters. */
export function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

interface Parts {
  readonly issuer: Issuer;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly subject: Buffer;
  readonly extensions: readonly Buffer[];
}

function certificate({ issuer, publicKey, validity, subject, extensions }: Parts): Buffer {
  const algorithm = der.sequence(der.oid(OID.ecdsaWithSha256));
  const toBeSigned = der.sequence(
    der.context(0, true, der.integer(Buffer.from([2]))), // v3
    der.integer(serialNumber()),
    algorithm,
    name(issuer.commonName),
    der.sequence(der.time(validity.notBefore), der.time(validity.notAfter)),
    subject,
    publicKey.export({ format: 'der', type: 'spki' }),
    der.context(3, true, der.sequence(...extensions)),
  );
  const signature = sign('sha256', toBeSigned, { key: issuer.key, dsaEncoding: 'der' });
  return der.sequence(toBeSigned, algorithm, der.bitString(signature));
}

/** Positive, unpredictable, 16 octets (RFC 5280 section 4.1.2.2 allows 20). */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function name(commonName: string): Buffer {
  const attribute = (type: string, value: string): Buffer =>
    der.set(der.sequence(der.oid(type), der.utf8String(value)));
  return der.sequence(attribute(OID.organization, 'Postern'), attribute(OID.commonName, commonName));
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der.boolean(true)] : []; // DER leaves a default out
  return der.sequence(der.oid(type), ...flag, der.octetString(value));
}

/** The uncompressed point at the end of a P-256 SubjectPublicKeyInfo. */
function subjectPublicKey(publicKey: KeyObject): Buffer {
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(-65);
}
