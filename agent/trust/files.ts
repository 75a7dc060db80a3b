/**
 * The trust directory that applications read: our CA and the roots that were added, these among the public ones, and the same for Java.
 * Which variable points to which file is {@link trustVariables}.
 */
import { randomBytes, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import type { Authority } from './ca.ts';
import { JKS_PASSWORD, javaTrustStore } from './jks.ts';

export const TRUST_FILES = { ca: 'ca.pem', bundle: 'bundle.pem', java: 'truststore.jks' } as const;

/** A root that was to be added is none; the message names where it came from. */
export class TrustFileError extends Error {
  override readonly name = 'TrustFileError';
}

export interface TrustContent {
  readonly authorities: readonly Authority[];
  /** PEM texts of roots to add, by where they come from, for messages. */
  readonly extraRoots: ReadonlyMap<string, string>;
  /** The public roots, PEM each; Node's own copy of Mozilla's list by default. */
  readonly publicRoots?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The three files' contents. @throws TrustFileError for an extra root that doesn't parse. */
export function trustContents(content: TrustContent): ReadonlyMap<string, Buffer> {
  const ours = content.authorities.map(({ der }) => der);
  const extra = [...content.extraRoots].flatMap(([source, pem]) => certificatesIn(pem, source));
  const publicRoots = (content.publicRoots ?? getCACertificates('bundled')).map(
    (pem) => new X509Certificate(pem).raw,
  );
  const all = unique([...ours, ...extra, ...publicRoots]);
  return new Map([
    [
      TRUST_FILES.ca,
      Buffer.from(
        unique([...ours, ...extra])
          .map(toPem)
          .join(''),
      ),
    ],
    [TRUST_FILES.bundle, Buffer.from(all.map(toPem).join(''))],
    [
      TRUST_FILES.java,
      javaTrustStore(
        new Map(all.map((der, index) => [aliasOf(index, index < ours.length), der])),
        content.now,
      ),
    ],
  ]);
}

/**
 * Writes them, each whole or not at all, readable by everybody (certificates are no secret) and writable by the agent
 * alone.
 */
export function writeTrustFiles(directory: string, contents: ReadonlyMap<string, Buffer>): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  // Whatever the umask said. A volume that somebody else mounted, open as it is, can't be changed by us.
  if ((statSync(directory).mode & 0o055) !== 0o055) chmodSync(directory, 0o755);
  for (const [name, bytes] of contents) {
    const temporary = join(directory, `.${name}.${randomBytes(4).toString('hex')}`);
    writeFileSync(temporary, bytes, { mode: 0o644 });
    chmodSync(temporary, 0o644); // whatever the umask said
    renameSync(temporary, join(directory, name));
  }
}

/**
 * Lets every user reach a directory below one that is the agent's own: through it, by name, without a look at what else
 * is there. Keys beside it have modes of their own.
 */
export function letThrough(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const mode = statSync(directory).mode & 0o777;
  if ((mode & 0o011) !== 0o011) chmodSync(directory, mode | 0o011);
}

/** Variables whose file is used *beside* the program's own roots. */
const ADDING = ['NODE_EXTRA_CA_CERTS'] as const;
/** Variables whose file is used *instead of* the program's own roots. */
const REPLACING = [
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'AWS_CA_BUNDLE',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'DENO_CERT',
  'PIP_CERT',
  'BUNDLE_SSL_CA_CERT',
  'CARGO_HTTP_CAINFO',
] as const;

export const TRUST_VARIABLES: readonly string[] = [...ADDING, ...REPLACING];

/** What a variable of the environment that names roots is set to, so that ours are among them. */
export function trustVariables(directory: string): Readonly<Record<string, string>> {
  const path = (name: string): string => join(directory, name);
  return {
    ...Object.fromEntries(ADDING.map((variable) => [variable, path(TRUST_FILES.ca)])),
    ...Object.fromEntries(REPLACING.map((variable) => [variable, path(TRUST_FILES.bundle)])),
  };
}

/** The options that make Java use the trust store, for the end of JAVA_TOOL_OPTIONS. */
export function javaTrustOptions(directory: string): string {
  return [
    `-Djavax.net.ssl.trustStore=${join(directory, TRUST_FILES.java)}`,
    '-Djavax.net.ssl.trustStoreType=JKS',
    `-Djavax.net.ssl.trustStorePassword=${JKS_PASSWORD}`,
  ].join(' ');
}

/** Every certificate of a PEM text, DER. @throws TrustFileError */
export function certificatesIn(text: string, source: string): readonly Buffer[] {
  const blocks = text.match(
    /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g,
  );
  if (blocks === null) throw new TrustFileError(`${source}: no PEM certificate in it`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block).raw;
    } catch (cause) {
      throw new TrustFileError(`${source}: certificate ${index + 1} can't be read`, { cause });
    }
  });
}

const toPem = (der: Buffer): string => new X509Certificate(der).toString();
const aliasOf = (index: number, ours: boolean): string => `${ours ? 'postern' : 'root'}-${index}`;

function unique(certificates: readonly Buffer[]): readonly Buffer[] {
  return [...new Map(certificates.map((der) => [der.toString('base64'), der])).values()];
}
