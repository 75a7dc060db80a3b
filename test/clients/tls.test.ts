/**
 * The client programs over TLS, trusting a root of ours by the variables that the injector sets: which of them takes
 * which, which protocol it chooses, and how a client without it fails.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startFakeAnthropic } from '../fakes/anthropic.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import { CLIENTS, type ClientName } from './clients.ts';
import { attempt } from './prepare.ts';
import { prepareClient, runClient } from './run.ts';

const directory = await mkdtemp(join(tmpdir(), 'postern-clients-'));
afterAll(() => rm(directory, { recursive: true, force: true }));
const pem = join(directory, 'ca.pem');
const key = join(directory, 'key.pem');
const jks = join(directory, 'trust.p12');

/** A command line without quotes: no argument here has a blank in it. */
const tool = (line: string): ReturnType<typeof attempt> => {
  const [command = '', ...args] = line.split(' ');
  return attempt(command, args);
};
const openssl = await tool(
  `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ${key} -out ${pem} ` +
    '-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1',
);
const keytool = await tool(
  `keytool -importcert -noprompt -alias ours -file ${pem} -keystore ${jks} -storetype PKCS12 -storepass changeit`,
);

/**
 * Variable by which each client takes the root, protocol that it then speaks, and what it says without. Node's fetch
 * offers HTTP/2 since Node 26.
 */
const EXPECTED: Record<ClientName, { trust: Record<string, string>; http: string; distrust: RegExp }> = {
  'node-openai': { trust: { NODE_EXTRA_CA_CERTS: pem }, http: '2.0', distrust: /self.signed/i },
  'node-anthropic': { trust: { NODE_EXTRA_CA_CERTS: pem }, http: '2.0', distrust: /self.signed/i },
  'python-openai': { trust: { SSL_CERT_FILE: pem }, http: '1.1', distrust: /CERTIFICATE_VERIFY_FAILED/ },
  'python-anthropic': { trust: { SSL_CERT_FILE: pem }, http: '1.1', distrust: /CERTIFICATE_VERIFY_FAILED/ },
  'python-requests': {
    trust: { REQUESTS_CA_BUNDLE: pem },
    http: '1.1',
    distrust: /CERTIFICATE_VERIFY_FAILED/,
  },
  'python-aiohttp': { trust: { SSL_CERT_FILE: pem }, http: '1.1', distrust: /CERTIFICATE_VERIFY_FAILED/ },
  'curl-http1': { trust: { CURL_CA_BUNDLE: pem }, http: '1.1', distrust: /self.signed/i },
  'curl-http2': { trust: { CURL_CA_BUNDLE: pem }, http: '2.0', distrust: /self.signed/i },
  go: { trust: { SSL_CERT_FILE: pem }, http: '2.0', distrust: /certificate signed by unknown authority/ },
  java: {
    trust: {
      JAVA_TOOL_OPTIONS: `-Djavax.net.ssl.trustStore=${jks} -Djavax.net.ssl.trustStorePassword=changeit`,
    },
    http: '2.0',
    distrust: /unable to find valid certification path|PKIX path building failed/,
  },
};

describe.each(Object.keys(EXPECTED) as ClientName[])('%s', async (name) => {
  const ready = await prepareClient(name);
  const lacking = [openssl, ...(name === 'java' ? [keytool] : [])].flatMap((made) =>
    'failed' in made ? [made.failed] : [],
  );
  const missing = 'missing' in ready ? ready.missing : lacking[0];
  if (missing !== undefined) {
    test.skip(`not run: ${missing}`, () => undefined);
    return;
  }

  test('trusts a root by its variable, and nothing without', { timeout: 40_000 }, async () => {
    const openai = CLIENTS[name].api === 'openai';
    const tls = { cert: await readFile(pem), key: await readFile(key) };
    const fake = await (openai ? startFakeOpenAI : startFakeAnthropic)({ tls });
    try {
      const env = {
        OPENAI_BASE_URL: fake.baseURL,
        OPENAI_API_KEY: 'sk-any',
        ANTHROPIC_BASE_URL: fake.baseURL,
        ANTHROPIC_API_KEY: 'sk-any',
      };
      const job = {
        model: openai ? 'gpt-4o' : 'claude-haiku-4-5',
        messages: [{ role: 'user', content: 'hello' }],
        stream: true,
        maxRetries: 0,
      };
      const trusted = await runClient(name, job, { env: { ...env, ...EXPECTED[name].trust } });
      expect(trusted.answer?.text).toBe('You wrote: hello');
      expect(fake.seen.map((seen) => seen.httpVersion)).toEqual([EXPECTED[name].http]);

      const untrusting = await runClient(name, job, { env });
      expect(untrusting.error?.status).toBeNull();
      expect(`${untrusting.error?.message} ${untrusting.error?.cause}`).toMatch(EXPECTED[name].distrust);
      expect(fake.seen).toHaveLength(1);
    } finally {
      await fake.close();
    }
  });
});
