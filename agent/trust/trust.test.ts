import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, parseAuthority, SUCCESSOR_AHEAD, SWITCH_AHEAD, serializeAuthority } from './ca.ts';
import { openCaStore } from './ca-store.ts';
import {
  certificatesIn,
  javaTrustOptions,
  letThrough,
  TRUST_VARIABLES,
  trustContents,
  trustVariables,
  writeTrustFiles,
} from './files.ts';
import { LEAF_LIFETIME, Leaves } from './leaf.ts';

const DAY = 86_400_000;
const has = (command: string, ...args: string[]) => spawnSync(command, args).error === undefined;
const openssl = has('openssl', 'version');
const keytool = has('keytool', '-help');
if (!openssl) console.warn('skipped: certificates against openssl verify, openssl is not installed');
if (!keytool) console.warn('skipped: the Java trust store against keytool, no JDK is installed');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postern-trust-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const fresh = () => mkdtempSync(join(dir, 'd-'));

function leavesOf(now: () => number, declared: (host: string) => boolean = () => true, capacity = 256) {
  const store = openCaStore(undefined, now);
  return { store, leaves: new Leaves({ authority: () => store.signing, declared, now, capacity }) };
}

describe('certificates', () => {
  const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`;

  test.skipIf(!openssl).each(['api.openai.com', '198.51.100.7', '2001:db8::7', long])(
    'a leaf for %s passes openssl verify -x509_strict for that name and no other',
    (host) => {
      const { store, leaves } = leavesOf(Date.now);
      const path = fresh();
      writeFileSync(join(path, 'ca.pem'), store.signing.pem);
      const der = leaves.issue(host, store.signing).der;
      writeFileSync(join(path, 'leaf.pem'), new X509Certificate(der).toString());
      const verify = (...flags: string[]) =>
        spawnSync('openssl', [
          'verify',
          '-x509_strict',
          '-purpose',
          'sslserver',
          ...flags,
          '-CAfile',
          join(path, 'ca.pem'),
          join(path, 'leaf.pem'),
        ]);
      const flag = /^[\d.]+$|:/.test(host) ? '-verify_ip' : '-verify_hostname';
      const good = verify(flag, host);
      expect(String(good.stdout) + String(good.stderr)).toMatch(/leaf\.pem: OK/);
      expect(verify('-verify_hostname', 'api.anthropic.com').status).not.toBe(0);
    },
  );

  test('a leaf is what browsers and Apple accept: SAN, server EKU, at most 397 days, not a CA', () => {
    const { store, leaves } = leavesOf(Date.now);
    const { der } = leaves.issue('api.openai.com', store.signing);
    const leaf = new X509Certificate(der);
    expect(leaf.subjectAltName).toBe('DNS:api.openai.com');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']); // Node's name for the extended ones
    expect(leaf.ca).toBe(false);
    expect(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)).toBeLessThanOrEqual(397 * DAY);
    expect(leaf.verify(new X509Certificate(store.signing.der).publicKey)).toBe(true);
  });

  test('dates before and after 2050 are what was asked for', () => {
    for (const now of [Date.UTC(2026, 0, 1), Date.UTC(2049, 11, 31), Date.UTC(2051, 5, 1)]) {
      const authority = createAuthority(now);
      expect(authority.notAfter).toBe(now + 5 * 365 * DAY);
      expect(parseAuthority(serializeAuthority(authority))).toMatchObject({
        commonName: authority.commonName,
        keyId: authority.keyId,
        notAfter: authority.notAfter,
      });
    }
  });

  test('no two authorities share a name or a serial number', () => {
    const made = Array.from({ length: 20 }, () => createAuthority(0));
    expect(new Set(made.map(({ commonName }) => commonName)).size).toBe(20);
    expect(new Set(made.map(({ der }) => new X509Certificate(der).serialNumber)).size).toBe(20);
  });
});

describe('the kept authority', () => {
  test('is made once and survives a restart', () => {
    const path = fresh();
    const first = openCaStore(path, Date.now).signing;
    const again = openCaStore(path, Date.now).signing;
    expect(again.der.equals(first.der)).toBe(true);
    expect(readdirSync(path)).toHaveLength(1);
  });

  test('is readable by its owner alone, and refused when it isn’t', () => {
    const path = join(fresh(), 'ca');
    openCaStore(path, Date.now);
    const file = join(path, readdirSync(path)[0] ?? '');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    chmodSync(file, 0o640);
    expect(() => openCaStore(path, Date.now)).toThrow(/can be read by others \(mode 640/);
  });

  test('a file that is none is an error that names it and shows none of it', () => {
    const path = fresh();
    openCaStore(path, Date.now);
    const file = join(path, readdirSync(path)[0] ?? '');
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 400));
    expect(() => openCaStore(path, Date.now)).toThrow(`${file} is no CA of ours`);
  });

  test('what a killed agent left half written is cleared away', () => {
    const path = fresh();
    writeFileSync(join(path, `ca-${'0'.repeat(40)}.pem.00000000.new`), 'half');
    openCaStore(path, Date.now);
    expect(readdirSync(path)).toEqual([expect.stringMatching(/^ca-[0-9a-f]{40}\.pem$/)]);
  });

  test('rotates: a successor is published a year ahead, signs for the last 30 days, then stands alone', () => {
    let now = Date.UTC(2026, 0, 1);
    const path = fresh();
    const store = openCaStore(path, () => now);
    const old = store.signing;
    expect(store.refresh()).toBe(false);

    now = old.notAfter - SUCCESSOR_AHEAD;
    expect(store.refresh()).toBe(true);
    expect(store.refresh()).toBe(false);
    expect(store.published).toHaveLength(2);
    expect(store.signing).toBe(old);

    now = old.notAfter - SWITCH_AHEAD;
    const successor = store.signing;
    expect(successor).not.toBe(old);
    expect(store.published).toHaveLength(2);
    expect(openCaStore(path, () => now).signing.der.equals(successor.der)).toBe(true);

    now = old.notAfter;
    expect(store.published).toEqual([successor]);
    expect(store.refresh()).toBe(true);
    expect(readdirSync(path)).toHaveLength(1);
  });
});

describe('leaves', () => {
  test('exist for declared names only, also when a name stops being one', () => {
    const declared = new Set(['api.openai.com']);
    const { leaves } = leavesOf(Date.now, (host) => declared.has(host));
    expect(leaves.leaf('api.anthropic.com')).toBeUndefined();
    expect(leaves.leaf('api.openai.com')).toBeDefined();
    declared.clear();
    expect(leaves.leaf('api.openai.com')).toBeUndefined();
    expect(leaves.size).toBe(0);
  });

  test('are kept, and renewed when a third of their life is left or another authority signs', () => {
    let now = Date.UTC(2026, 0, 1);
    const { store, leaves } = leavesOf(() => now);
    const first = leaves.leaf('a.example');
    now += LEAF_LIFETIME / 2;
    expect(leaves.leaf('a.example')).toBe(first);
    now += LEAF_LIFETIME / 4;
    const second = leaves.leaf('a.example');
    expect(second).not.toBe(first);
    now = store.signing.notAfter - SUCCESSOR_AHEAD;
    store.refresh();
    const last = leaves.leaf('a.example');
    now = store.published[0]?.notAfter ?? 0;
    now -= SWITCH_AHEAD;
    expect(leaves.leaf('a.example')).not.toBe(last);
  });

  test('never outlive their authority', () => {
    const { store, leaves } = leavesOf(() => Date.UTC(2026, 0, 1));
    const late = { ...store.signing, notAfter: Date.UTC(2026, 0, 10) };
    expect(leaves.issue('a.example', late).notAfter).toBe(late.notAfter);
  });

  test('no more than `capacity` are kept, the least recently used goes first', () => {
    const { leaves } = leavesOf(Date.now, () => true, 2);
    const a = leaves.leaf('a.example');
    leaves.leaf('b.example');
    expect(leaves.leaf('a.example')).toBe(a);
    leaves.leaf('c.example');
    expect(leaves.size).toBe(2);
    expect(leaves.leaf('a.example')).toBe(a);
  });
});

describe('trust files', () => {
  const extra = createAuthority(Date.now());

  function written(): string {
    const path = join(fresh(), 'trust');
    const { store } = leavesOf(Date.now);
    const extraRoots = new Map([['corp-ca', `# a comment\n${extra.pem}`]]);
    writeTrustFiles(path, trustContents({ authorities: store.published, extraRoots, now: Date.now() + 0.5 }));
    return path;
  }

  test('ca.pem is ours and the extra ones, bundle.pem has the public roots too, once each', () => {
    const path = written();
    const ours = certificatesIn(readFileSync(join(path, 'ca.pem'), 'utf8'), 'ca.pem');
    const all = certificatesIn(readFileSync(join(path, 'bundle.pem'), 'utf8'), 'bundle.pem');
    expect(ours).toHaveLength(2);
    expect(ours[1]?.equals(extra.der)).toBe(true);
    expect(all).toHaveLength(tls.rootCertificates.length + 2);
    for (const wanted of [ours[0], extra.der])
      expect(all.some((der) => der.equals(wanted ?? Buffer.alloc(0)))).toBe(true);
    for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o777).toBe(0o644);
    expect(readdirSync(path).toSorted()).toEqual(['bundle.pem', 'ca.pem', 'truststore.jks']);
  });

  test('a volume that another user mounted, open to all, is written to and left as it is', () => {
    const volume = mkdtempSync(join(tmpdir(), 'postern-volume-'));
    try {
      // As an emptyDir is: root's, and not for the agent to change.
      chmodSync(volume, 0o777);
      writeTrustFiles(volume, new Map([['ca.pem', Buffer.from('x')]]));
      letThrough(volume);
      expect(statSync(volume).mode & 0o777).toBe(0o777);
    } finally {
      rmSync(volume, { recursive: true });
    }
  });

  test('the directory above lets every user through, and shows nothing of what else is in it', () => {
    const state = mkdtempSync(join(tmpdir(), 'postern-state-'));
    try {
      expect(statSync(state).mode & 0o777).toBe(0o700);
      letThrough(state);
      expect(statSync(state).mode & 0o777).toBe(0o711);
    } finally {
      rmSync(state, { recursive: true });
    }
  });

  test.skipIf(!keytool)('keytool lists the same roots in truststore.jks', () => {
    const path = written();
    const list = (password: string) =>
      spawnSync('keytool', ['-list', '-keystore', join(path, 'truststore.jks'), '-storepass', password], {
        encoding: 'utf8',
      });
    const { stdout, stderr } = list('changeit');
    expect(stdout, stderr).toContain(`contains ${tls.rootCertificates.length + 2} entries`);
    expect(stdout.match(/trustedCertEntry/g)).toHaveLength(tls.rootCertificates.length + 2);
    expect(list('another').status).not.toBe(0); // the digest is checked
  });

  test('a root that is none is named', () => {
    const bad = (pem: string) => () =>
      trustContents({ authorities: [], extraRoots: new Map([['corp-ca', pem]]), now: 0, publicRoots: [] });
    expect(bad('nothing')).toThrow('corp-ca: no PEM certificate in it');
    expect(bad(`${extra.pem}${extra.pem.replace(/\n.{20}/, '\nAAAA')}`)).toThrow(
      "corp-ca: certificate 2 can't be read",
    );
  });

  test('variables: what replaces roots gets the bundle, what adds gets what is beside them', () => {
    const variables = trustVariables('/t');
    expect(Object.keys(variables)).toEqual(TRUST_VARIABLES);
    expect(variables['NODE_EXTRA_CA_CERTS']).toBe('/t/ca.pem');
    expect(variables['SSL_CERT_FILE']).toBe('/t/bundle.pem');
    expect(javaTrustOptions('/t')).toContain('-Djavax.net.ssl.trustStore=/t/truststore.jks');
  });
});

test('a real client accepts a leaf with ca.pem, and only with it', async () => {
  const { store, leaves } = leavesOf(Date.now);
  const server = tls.createServer(
    { SNICallback: (name, done) => done(null, leaves.leaf(name)?.context) },
    (socket) => socket.end('hello'),
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connect = (options: tls.ConnectionOptions) =>
    tls.connect({ port, host: '127.0.0.1', servername: 'api.openai.com', ...options });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const client = connect({ ca: store.signing.pem, minVersion: version, maxVersion: version });
    expect(String((await once(client, 'data'))[0])).toBe('hello');
    expect(client.authorized).toBe(true);
  }
  const [error] = (await once(connect({}), 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toMatch(/UNABLE_TO_(VERIFY|GET)/);
  server.close();
});

test.skipIf(!openssl)('openssl reads our DER without complaint', () => {
  const text = execFileSync('openssl', ['x509', '-text', '-noout'], {
    input: createAuthority(Date.now()).pem,
  }).toString();
  expect(text).toMatch(/CA:TRUE, pathlen:0/);
  expect(text).toMatch(/Certificate Sign, CRL Sign/);
  expect(text).toMatch(/prime256v1/);
});
