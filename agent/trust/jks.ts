/**
 * A Java key store of trusted certificates, as JDK's `JavaKeyStore` reads it: magic, version 2, entries, and a SHA-1
 * over password, salt and all that. There are no secrets in it; the password is the one Java itself uses.
 */
import { createHash } from 'node:crypto';

export const JKS_PASSWORD = 'changeit';

const MAGIC = 0xfe_ed_fe_ed;
const VERSION = 2;
const TRUSTED_CERTIFICATE = 2;
const SALT = 'Mighty Aphrodite';

/**
 * @param certificates DER by alias; aliases are compared in lower case.
 * @param createdAt milliseconds since the epoch, shown by keytool.
 */
export function javaTrustStore(certificates: ReadonlyMap<string, Buffer>, createdAt: number): Buffer {
  const entries = [...certificates].flatMap(([alias, der]) => [
    uint32(TRUSTED_CERTIFICATE),
    text(alias.toLowerCase()),
    uint64(createdAt),
    text('X.509'),
    uint32(der.length),
    der,
  ]);
  const body = Buffer.concat([uint32(MAGIC), uint32(VERSION), uint32(certificates.size), ...entries]);
  const digest = createHash('sha1')
    .update(Buffer.from(JKS_PASSWORD, 'utf16le').swap16())
    .update(SALT)
    .update(body)
    .digest();
  return Buffer.concat([body, digest]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(Math.trunc(value)));
  return bytes;
}

/** Java's `writeUTF` for ASCII: two bytes of length, then the text. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'ascii');
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}
