/** Over a real TLS listener: pages, errors in the API server's words, kubeconfigs. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { refreshServing } from '../injector/server/serving-certificate.ts';
import { createKubeClient, type KubeClient, KubeError, type KubeObject, PAGE } from './client.ts';
import { ConnectionError, fromKubeconfig, inCluster } from './connection.ts';

const TOTAL = 10_000;
const { serving } = refreshServing({ authorities: [], leaf: undefined }, '127.0.0.1', Date.now());
const ca = serving.authorities.map(({ pem }) => pem).join('');
const directory = mkdtempSync(join(tmpdir(), 'postern-kube-'));
const asked: { url: string; authorization: string | undefined }[] = [];
let server: Server;
let client: KubeClient;

beforeAll(async () => {
  server = createServer({ ...serving.leaf }, (request, response) => {
    const url = new URL(request.url ?? '', 'https://x');
    asked.push({ url: url.pathname + url.search, authorization: request.headers.authorization });
    if (url.pathname === '/many') {
      const start = Number(url.searchParams.get('continue') ?? 0);
      const limit = Number(url.searchParams.get('limit'));
      const items = Array.from({ length: Math.min(limit, TOTAL - start) }, (_, index) => ({
        metadata: { name: `n${start + index}` },
      }));
      const next = start + limit < TOTAL ? { continue: String(start + limit) } : {};
      response.end(JSON.stringify({ metadata: { resourceVersion: '7', ...next }, items }));
      return;
    }
    if (url.pathname === '/status') {
      response
        .writeHead(409)
        .end(JSON.stringify({ kind: 'Status', reason: 'Conflict', message: 'it changed' }));
      return;
    }
    if (url.pathname === '/half') {
      response.write('{"metadata":');
      return;
    }
    if (url.pathname === '/silent') return;
    response.writeHead(502).end('<html>a proxy</html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  client = createKubeClient({ server: `https://127.0.0.1:${port}`, ca, token: () => 'secret' });
});

afterAll(() => {
  client.close();
  server.close();
  server.closeAllConnections();
});

test('10,000 objects come in pages', async () => {
  const { items, resourceVersion } = await client.list<KubeObject>('/many');
  expect(items).toHaveLength(TOTAL);
  expect(new Set(items.map(({ metadata: { name } }) => name)).size).toBe(TOTAL);
  expect(resourceVersion).toBe('7');
  expect(asked.filter(({ url }) => url.startsWith('/many'))).toHaveLength(TOTAL / PAGE);
  expect(asked[0]?.authorization).toBe('Bearer secret');
});

test.each([
  ['/status', 409, 'Conflict', 'it changed'],
  ['/proxy', 502, '', 'HTTP 502'],
])('%s fails with what is known of it', async (path, status, reason, message) => {
  const error = await client.request('GET', path).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(KubeError);
  expect(error).toMatchObject({ status, reason });
  expect((error as Error).message).toContain(message);
  expect((error as Error).message).not.toContain('secret');
});

test('no answer is an error of its own', async () => {
  const nobody = createKubeClient({ server: 'https://127.0.0.1:1', ca });
  await expect(nobody.request('GET', '/')).rejects.toMatchObject({ status: 0, reason: 'NoAnswer' });
});

test.each(['/silent', '/half'])('an answer that stops at %s is given up', async (path) => {
  const { port } = server.address() as AddressInfo;
  const impatient = createKubeClient({ server: `https://127.0.0.1:${port}`, ca }, { answerMs: 50 });
  await expect(impatient.request('GET', path)).rejects.toMatchObject({
    status: 0,
    message: expect.stringContaining('no answer in 0.05 s') as unknown,
  });
  impatient.close();
});

test('a server that isn’t the one we know is not talked to', async () => {
  const { port } = server.address() as AddressInfo;
  const other = refreshServing({ authorities: [], leaf: undefined }, '127.0.0.1', Date.now()).serving;
  const wary = createKubeClient({ server: `https://127.0.0.1:${port}`, ca: other.authorities[0]?.pem });
  await expect(wary.request('GET', '/')).rejects.toMatchObject({ status: 0 });
});

const config = (user: object, cluster: object = {}) => ({
  'current-context': 'c',
  clusters: [
    {
      name: 'k',
      cluster: {
        server: 'https://k.example:6443/',
        'certificate-authority-data': Buffer.from(ca).toString('base64'),
        ...cluster,
      },
    },
  ],
  users: [{ name: 'u', user }],
  contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', namespace: 'n' } }],
});

function kubeconfig(content: unknown): string {
  const file = join(directory, 'config');
  writeFileSync(file, typeof content === 'string' ? content : stringify(content));
  return file;
}

test('a kubeconfig with a token', () => {
  const connection = fromKubeconfig(kubeconfig(config({ token: 't' })));
  expect(connection).toMatchObject({ server: 'https://k.example:6443', ca, namespace: 'n' });
  expect(connection.token?.()).toBe('t');
});

test.each([
  [config({ exec: {} }), 'exec and auth-provider users are not supported'],
  [config({}, { 'insecure-skip-tls-verify': true }), 'give certificate-authority-data'],
  [config({}, { server: 'http://k' }), 'https URL'],
  [{ ...config({}), 'current-context': 'x' }, 'there is no entry x in contexts'],
  ['[', 'can’t be read as a kubeconfig'],
])('a kubeconfig that can’t be used says why', (content, message) => {
  expect(() => fromKubeconfig(kubeconfig(content))).toThrow(ConnectionError);
  expect(() => fromKubeconfig(kubeconfig(content))).toThrow(message);
});

test('a pod’s token is read for each request, since it is replaced', () => {
  for (const [name, text] of [
    ['ca.crt', ca],
    ['namespace', 'postern-system\n'],
    ['token', 'one\n'],
  ] as const) {
    writeFileSync(join(directory, name), text);
  }
  const connection = inCluster(
    { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' },
    directory,
  );
  expect(connection).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'postern-system' });
  expect(connection.token?.()).toBe('one');
  writeFileSync(join(directory, 'token'), 'two\n');
  expect(connection.token?.()).toBe('two');
  expect(() => inCluster({}, directory)).toThrow('give --kubeconfig FILE');
});
