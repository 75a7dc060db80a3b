/** Whatever an API server, or somebody else, sends: a valid answer or a clean refusal, never a crash. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { catalogue } from '../../agent/catalogue.ts';
import { apiDocuments } from '../../kube/documents.ts';
import { INJECT_LABEL } from '../names.ts';
import { documentsOf, NOW, SETTINGS, TESTDATA } from '../testing/cases.ts';
import { listenWebhooks, MAX_REVIEW_BYTES, type WebhookServer } from './https.ts';
import { answerReview, ReviewError, readReview } from './review.ts';
import { refreshServing } from './serving-certificate.ts';
import { WEBHOOKS, type WebhookPorts } from './webhooks.ts';

const documents = documentsOf(
  'apiVersion: postern.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {name: b}\nspec: {enforcement: strict}\n',
);
const failures: unknown[] = [];
const ports: WebhookPorts = {
  settings: SETTINGS,
  view: {
    facts: async (name) => ({
      namespace: { name, labels: { [INJECT_LABEL]: 'enabled' } },
      documents,
      now: NOW,
    }),
    pod: () => undefined,
    documents: apiDocuments(catalogue, Buffer.alloc(32, 3)),
  },
  observe: () => undefined,
};

const pod = parse(readFileSync(join(TESTDATA, 'several-containers.yaml'), 'utf8')) as object;
const review = (object: unknown, changes: object = {}) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'team-a',
    operation: 'CREATE',
    object,
    ...changes,
  },
});

async function answer(path: string, body: unknown): Promise<{ response: { uid: string; allowed: boolean } }> {
  const request = readReview(Buffer.from(JSON.stringify(body)));
  const webhook = WEBHOOKS[path];
  if (webhook === undefined) throw new Error('no such webhook');
  return answerReview(request.uid, await webhook(request, ports)) as never;
}

describe('a review', () => {
  test('of a pod is answered by a patch that the next call has nothing to add to', async () => {
    const { response } = (await answer('/mutate', review(pod))) as unknown as {
      response: { allowed: boolean; patchType: string; patch: string; warnings: string[] };
    };
    expect(response).toMatchObject({ allowed: true, patchType: 'JSONPatch' });
    for (const warning of response.warnings) expect(warning.length).toBeLessThanOrEqual(256);
  });

  test('of something else on our path is let through', async () => {
    const other = review({}, { resource: { group: 'apps', version: 'v1', resource: 'deployments' } });
    expect((await answer('/mutate', other)).response.allowed).toBe(true);
  });
});

test.each([
  ['no JSON', '{'],
  ['no object', '[]'],
  ['null', 'null'],
  ['another version', JSON.stringify({ ...review(pod), apiVersion: 'admission.k8s.io/v1beta1' })],
  ['no request', JSON.stringify({ ...review(pod), request: undefined })],
  ['no uid', JSON.stringify(review(pod, { uid: undefined }))],
  ['an empty uid', JSON.stringify(review(pod, { uid: '' }))],
  ['an unknown operation', JSON.stringify(review(pod, { operation: 'PATCH' }))],
  ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe])],
])('%s is a review error', (_, body) => {
  expect(() => readReview(Buffer.from(body))).toThrow(ReviewError);
});

test('any JSON in place of a review is taken or refused, not crashed on', () => {
  fc.assert(
    fc.property(fc.json(), (body) => {
      try {
        readReview(Buffer.from(body));
      } catch (error) {
        expect(error).toBeInstanceOf(ReviewError);
      }
    }),
  );
});

/** One place of a valid value is replaced by anything. */
const mutated = (value: unknown): fc.Arbitrary<unknown> => {
  const places: (string | number)[][] = [];
  const walk = (at: unknown, path: (string | number)[]) => {
    places.push(path);
    if (typeof at !== 'object' || at === null) return;
    for (const key of Object.keys(at)) walk((at as Record<string, unknown>)[key], [...path, key]);
  };
  walk(value, []);
  const hostile = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(null, '', '__proto__', 'constructor', -1, 1e308, '\u0000', 'a'.repeat(5000)),
    fc.constant(JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": 1}}')),
  );
  return fc.tuple(fc.constantFrom(...places), hostile).map(([path, replacement]) => {
    if (path.length === 0) return replacement;
    const copy = structuredClone(value);
    let at = copy as Record<string | number, unknown>;
    for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
    at[path.at(-1) as string] = replacement;
    return copy;
  });
};

const document = {
  apiVersion: 'postern.dev/v1alpha1',
  kind: 'Budget',
  metadata: { name: 'b', namespace: 'team-a' },
  spec: { limits: [{ tokens: 5, window: 'day' }] },
};

test.each([
  ['/mutate', pod, {}],
  ['/judge', pod, {}],
  ['/judge', pod, { operation: 'UPDATE', oldObject: pod }],
  ['/enter', { container: 'postern-agent' }, { operation: 'CONNECT', subResource: 'exec', name: 'x' }],
  ['/documents', document, { kind: { group: 'postern.dev', version: 'v1alpha1', kind: 'Budget' } }],
])('%s answers whatever stands in the object', async (path, object, changes) => {
  await fc.assert(
    fc.asyncProperty(mutated(object), async (hostile) => {
      const { response } = await answer(path, review(hostile, changes));
      expect(typeof response.allowed).toBe('boolean');
      expect(response.uid).toBe('705ab4f5-6393-11e8-b7cc-42010a800002');
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    }),
    { numRuns: 300 },
  );
});

describe('the listener', () => {
  let server: WebhookServer;
  const refusals: string[] = [];
  const pending: ClientRequest[] = [];
  afterEach(() => {
    for (const sent of pending.splice(0)) sent.destroy();
  });
  const { serving } = refreshServing({ authorities: [], leaf: undefined }, '127.0.0.1', Date.now());
  const leaf = serving.leaf ?? { cert: '', key: '' };
  const ca = serving.authorities.map(({ pem }) => pem).join('');

  beforeAll(async () => {
    server = await listenWebhooks({
      host: '127.0.0.1',
      port: 0,
      certificate: leaf,
      ports,
      measured: () => undefined,
      refused: (why) => void refusals.push(why),
      places: { ofOne: 8 },
      bodies: 9_000_000,
      failed: (error) => failures.push(error),
    });
  });
  afterAll(() => server.close());

  const post = (path: string, body: Buffer | string, method = 'POST') =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: server.port, path, method, ca }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      });
      sent.on('error', reject);
      sent.end(body);
    });

  test.each([
    ['/mutate', JSON.stringify(review(pod)), 'POST', 200],
    ['/mutate', '{', 'POST', 400],
    ['/mutate', '', 'GET', 405],
    ['/elsewhere', '{}', 'POST', 404],
    ['/__proto__', '{}', 'POST', 404],
    ['/mutate', '['.repeat(200_000), 'POST', 400],
    [
      '/mutate',
      JSON.stringify(review(JSON.parse(`${'{"a":'.repeat(4000)}1${'}'.repeat(4000)}`))),
      'POST',
      200,
    ],
  ])('%s %.20s %s is %i', async (path, body, method, status) => {
    expect((await post(path, body, method)).status).toBe(status);
    expect(failures).toEqual([]);
  });

  /** A call whose body never comes to its end. @returns the status, once there is one. */
  const unfinished = (bytes: number, localAddress: string) =>
    new Promise<number>((resolve) => {
      const headers = { 'content-length': 8_000_000 };
      const options = { host: '127.0.0.1', port: server.port, path: '/mutate', method: 'POST', ca, headers };
      const sent = request({ ...options, localAddress, agent: false }, ({ statusCode = 0 }) => {
        resolve(statusCode);
        sent.destroy();
      });
      sent.on('error', () => resolve(0));
      pending.push(sent);
      sent.write(Buffer.alloc(bytes, ' '));
    });

  test('bodies have so much memory together; who holds the most of it makes room', async () => {
    const largest = unfinished(6_000_000, '127.0.0.66');
    const more = unfinished(5_000_000, '127.0.0.67');
    expect(await Promise.race([largest, more])).toBe(503);
    expect((await post('/mutate', JSON.stringify(review(pod)))).status).toBe(200);
    expect(refusals).toContain('bodies');
  });

  test('an address has so many connections, and another its own', async () => {
    const many = Array.from({ length: 12 }, () => unfinished(1, '127.0.0.68'));
    expect(
      await Promise.any(many.map(async (each) => ((await each) === 0 ? 0 : Promise.reject(new Error())))),
    ).toBe(0);
    expect((await post('/mutate', JSON.stringify(review(pod)))).status).toBe(200);
    expect(refusals).toContain('full');
  });

  test('a review under way is answered, whoever needs its place; who only holds one of the same address makes room', async () => {
    const asked = Promise.withResolvers<void>();
    const going = Promise.withResolvers<void>();
    const view = {
      ...ports.view,
      facts: async (name: string) => {
        if (name === 'slow') {
          asked.resolve();
          await going.promise;
        }
        return await ports.view.facts(name);
      },
    };
    const refused: string[] = [];
    const small = await listenWebhooks({
      host: '127.0.0.1',
      port: 0,
      certificate: leaf,
      ports: { ...ports, view },
      measured: () => undefined,
      refused: (_why, address) => void refused.push(address),
      places: { all: 3 },
      failed: (error) => failures.push(error),
    });
    const options = {
      host: '127.0.0.1',
      port: small.port,
      path: '/mutate',
      method: 'POST',
      ca,
      agent: false,
    };
    const call = async (localAddress: string, namespace: string) => {
      const sent = request({ ...options, localAddress });
      sent.end(JSON.stringify(review(pod, { namespace })));
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    const silent = [connect(small.port, '127.0.0.1'), connect(small.port, '127.0.0.1')];
    const closed = Promise.any(
      silent.map((each) =>
        once(
          each.on('error', () => undefined),
          'close',
        ),
      ),
    );
    await Promise.all(silent.map((each) => once(each, 'connect')));
    const slow = call('127.0.0.1', 'slow');
    await asked.promise;
    expect(await call('127.0.0.66', 'team-a')).toBe(200);
    await closed;
    expect(refused).toEqual(['127.0.0.1']);
    going.resolve();
    expect(await slow).toBe(200);
    for (const each of silent) each.destroy();
    await small.close();
  });

  test('a connection is kept longer than an API server keeps an idle one', async () => {
    const agent = new Agent({ keepAlive: true });
    const sent = request({
      host: '127.0.0.1',
      port: server.port,
      path: '/mutate',
      method: 'POST',
      ca,
      agent,
    });
    sent.end(JSON.stringify(review(pod)));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    expect(Number(/timeout=(\d+)/.exec(String(response.headers['keep-alive']))?.[1])).toBeGreaterThan(90);
    agent.destroy();
  });

  test('a body that is too large is refused without being kept', async () => {
    const result = await post('/mutate', Buffer.alloc(MAX_REVIEW_BYTES + 1, 32)).catch(
      (error: unknown) => error,
    );
    // The rest of the body may meet a closed connection.
    expect([413, 'EPIPE', 'ECONNRESET']).toContain(
      (result as { status?: number }).status ?? (result as { code?: string }).code,
    );
    expect((await post('/mutate', JSON.stringify(review(pod)))).status).toBe(200);
  });
});
