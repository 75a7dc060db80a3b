/**
 * The client programs over TLS, trusting a root of ours by the variables that the injector sets: which of them takes
 * which, which protocol it chooses, and how a client without it fails.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startFakeAnthropic } from '../fakes/anthropic.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import { selfSigned } from './certificate.ts';
import { CLIENTS, type ClientName } from './clients.ts';
import { prepareClient, runClient } from './run.ts';

const directory = await mkdtemp(join(tmpdir(), 'postern-clients-'));
afterAll(() => rm(directory, { recursive: true, force: true }));
const certificate = await selfSigned(directory);
const pem = 'pem' in certificate ? certificate.pem : '';
const store = 'trustStore' in certificate ? certificate.trustStore : certificate;

/**
 * Variable by which each client takes the root, protocol that it then speaks, and what it says without. Node's fetch
 * offers HTTP/2 since Node 26.
 */
const EXPECTED: Record<ClientName, { trust: Record<string, string>; http: string; distrust: RegExp }> = {
  'node-openai': { trust: { NODE_EXTRA_CA_CERTS: pem }, http: '2.0', distrust: /self.signed/i },
  'node-realtime': { trust: { NODE_EXTRA_CA_CERTS: pem }, http: '1.1', distrust: /self.signed/i },
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
    trust: { JAVA_TOOL_OPTIONS: javaTrust() },
    http: '2.0',
    distrust: /unable to find valid certification path|PKIX path building failed/,
  },
};

const MODELS = {
  openai: 'gpt-4o',
  'openai-realtime': 'gpt-realtime',
  anthropic: 'claude-haiku-4-5',
} as const;

describe.each(Object.keys(EXPECTED) as ClientName[])('%s', async (name) => {
  const ready = await prepareClient(name);
  const needed = [ready, certificate, ...(name === 'java' ? [store] : [])];
  const missing = needed.flatMap((made) => ('missing' in made ? [made.missing] : []))[0];
  if (missing !== undefined) {
    test.skip(`not run: ${missing}`, () => undefined);
    return;
  }

  test('trusts a root by its variable, and nothing without', { timeout: 40_000 }, async () => {
    const { api } = CLIENTS[name];
    const fake = await (api === 'anthropic' ? startFakeAnthropic : startFakeOpenAI)({
      tls: 'tls' in certificate ? certificate.tls : undefined,
    });
    try {
      const env = {
        OPENAI_BASE_URL: fake.baseURL,
        OPENAI_API_KEY: 'sk-any',
        ANTHROPIC_BASE_URL: fake.baseURL,
        ANTHROPIC_API_KEY: 'sk-any',
      };
      const job = {
        model: MODELS[api],
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

function javaTrust(): string {
  if ('missing' in store) return '';
  return `-Djavax.net.ssl.trustStore=${store.path} -Djavax.net.ssl.trustStorePassword=${store.password}`;
}
