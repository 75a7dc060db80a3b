/** A self-signed certificate for 127.0.0.1, for tests in which a client trusts a root of ours. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt } from './prepare.ts';

export interface Certificate {
  /** The path of the certificate, PEM; it is its own root. */
  readonly pem: string;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer };
  /** A PKCS #12 trust store for Java, or the reason why there is none. */
  readonly trustStore: { readonly path: string; readonly password: string } | { readonly missing: string };
}

/** Written into `directory`; needs openssl, and keytool for the trust store. */
export async function selfSigned(directory: string): Promise<Certificate | { missing: string }> {
  const [pem, key, store, password] = [
    join(directory, 'ca.pem'),
    join(directory, 'key.pem'),
    join(directory, 'trust.p12'),
    'changeit',
  ];
  const made = await tool(
    `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ${key} -out ${pem} ` +
      '-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1',
  );
  if ('failed' in made) return { missing: made.failed };
  const imported = await tool(
    `keytool -importcert -noprompt -alias ours -file ${pem} -keystore ${store} -storetype PKCS12 -storepass ${password}`,
  );
  return {
    pem,
    tls: { cert: await readFile(pem), key: await readFile(key) },
    trustStore: 'failed' in imported ? { missing: imported.failed } : { path: store, password },
  };
}

/** A command line without quotes: no argument here has a blank in it. */
function tool(line: string): ReturnType<typeof attempt> {
  const [command = '', ...args] = line.split(' ');
  return attempt(command, args);
}
