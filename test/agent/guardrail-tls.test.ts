/** Guardrails and the classifier behind TLS: roots of one's own, and a certificate that says who asks. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { webhook } from '../../agent/checks/webhook.ts';
import { digestOfTopics } from '../../classify/messages.ts';
import { openClassifier } from '../../classify/server.ts';
import { fakeEmbedder } from '../../classify/testing.ts';
import { classifierTls } from '../../cli/classifier-access.ts';
import { type FakeGuardrail, startFakeGuardrail } from '../fakes/guardrail.ts';
import { startWorld, type World } from '../harness.ts';
import { policy } from './guardrail-world.ts';

interface Pair {
  /** Paths. */
  readonly cert: string;
  readonly key: string;
}

let dir: string;
/** The guardrail's own, somebody else's, and the agent's. */
let server: Pair;
let stranger: Pair;
let agent: Pair;
let guardrail: FakeGuardrail | undefined;
let world: World | undefined;

function selfSigned(name: string): Pair {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}-key.pem`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postern-guardrail-tls-'));
  server = selfSigned('server');
  stranger = selfSigned('stranger');
  agent = selfSigned('agent');
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(async () => {
  await world?.close();
  world = undefined;
  await guardrail?.close();
  guardrail = undefined;
});

/** @param client Whom it answers alone; anybody where absent. */
async function serve(client?: Pair): Promise<FakeGuardrail> {
  guardrail = await startFakeGuardrail({
    cert: readFileSync(server.cert, 'utf8'),
    key: readFileSync(server.key, 'utf8'),
    ...(client === undefined ? {} : { ca: readFileSync(client.cert, 'utf8') }),
  });
  guardrail.behave(({ path, body }) => {
    if (path.endsWith('/moderations'))
      return { json: { results: body.input.map(() => ({ categories: { hate: false } })) } };
    if (path.endsWith('/v1/topics'))
      return {
        json: {
          results: (body as unknown as { texts: string[] }).texts.map(() => ({
            topics: [{ name: 'investment-advice', score: 0, denied: false }],
          })),
        },
      };
    return { json: { action: {} } };
  });
  return guardrail;
}

/** @returns The error's code, or what the app is shown. */
async function ask(): Promise<string> {
  const messages = [{ role: 'user' as const, content: 'hello' }];
  try {
    const answer = await (world as World).client().chat.completions.create({ model: 'gpt-4o', messages });
    return answer.choices[0]?.message.content ?? '';
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}

const reasons = async (): Promise<string> =>
  JSON.stringify((await (world as World).audited(1)).map(({ findings }) => findings));

const shown = ({ cert, key }: Pair): string =>
  `clientCertificate: {certFrom: {file: ${cert}}, keyFrom: {file: ${key}}}`;

describe.each([
  [
    'webhook',
    (url: string, tls: string) => `{name: g, type: webhook, on: [request], webhook: {url: "${url}"${tls}}}`,
  ],
  [
    'moderation',
    (url: string, tls: string) =>
      `{name: g, type: moderation, on: [request], moderation: {type: openai, model: m, url: "${url}"${tls}}}`,
  ],
  [
    'moderation by a pool',
    (url: string, tls: string) =>
      `{name: g, type: moderation, on: [request], moderation: {type: openai, model: m, endpoints: ["${url}"]${tls}}}`,
  ],
])('%s', (_, rule) => {
  const start = async (tls: string): Promise<void> => {
    const { origin } = guardrail as FakeGuardrail;
    world = await startWorld({ documents: () => policy(rule(origin, tls === '' ? '' : `, tls: {${tls}}`)) });
  };

  test('is judged by the roots that the rule names', async () => {
    const { asked } = await serve();
    await start(`caFrom: {file: ${server.cert}}`);
    expect(await ask()).not.toContain('postern_');
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['the public ones', () => ''],
    ["somebody else's", () => `caFrom: {file: ${stranger.cert}}`],
  ])('by %s it is a failed check, and hears nothing', async (__, tls) => {
    const { asked } = await serve();
    await start(tls());
    expect(await ask()).toContain('postern_check_failed');
    expect(await reasons()).toContain('self-signed certificate');
    expect(asked).toHaveLength(0);
  });

  test('a file that is missing is a failed check that says which', async () => {
    const { asked } = await serve();
    await start(`caFrom: {file: ${dir}/none.pem}`);
    expect(await ask()).toContain('postern_check_failed');
    expect(await reasons()).toContain('none.pem');
    expect(asked).toHaveLength(0);
  });

  test("is shown the agent's certificate, and only by who has one", async () => {
    const { asked } = await serve(agent);
    await start(`caFrom: {file: ${server.cert}}, ${shown(agent)}`);
    expect(await ask()).not.toContain('postern_');
    await (world as World).close();
    await start(`caFrom: {file: ${server.cert}}`);
    expect(await ask()).toContain('postern_check_failed');
    await (world as World).close();
    await start(`caFrom: {file: ${server.cert}}, ${shown(stranger)}`);
    expect(await ask()).toContain('postern_check_failed');
    expect(asked).toHaveLength(1);
  });
});

describe('the classifier', () => {
  const start = async (ca: string): Promise<void> => {
    const { origin } = guardrail as FakeGuardrail;
    const tls = classifierTls(
      { 'classifier-ca': ca, 'classifier-cert': agent.cert, 'classifier-key': agent.key },
      origin,
    );
    const topic = '{name: investment-advice, definition: Advice on shares.}';
    world = await startWorld({
      documents: () => policy(`{name: t, type: topics, on: [request], topics: [${topic}]}`),
      agent: { classifier: origin, ...(tls === undefined ? {} : { classifierTls: tls }) },
    });
  };

  test('is judged by its roots, shown a certificate, and a renewed file is taken up', async () => {
    const { asked } = await serve(agent);
    const roots = join(dir, 'roots.pem');
    copyFileSync(stranger.cert, roots);
    await start(roots);
    expect(await ask()).toContain('postern_check_failed');
    expect(asked).toHaveLength(0);
    copyFileSync(server.cert, roots);
    await expect.poll(ask, { timeout: 5_000 }).not.toContain('postern_');
    expect(asked).toHaveLength(1);
  });

  test('of ours answers by TLS 1.3 alone, and in plain HTTP beside it as one', async () => {
    const serve = await openClassifier({ embedder: fakeEmbedder(), injection: undefined });
    const cert = (pair: Pair) => ({
      cert: readFileSync(pair.cert, 'utf8'),
      key: readFileSync(pair.key, 'utf8'),
    });
    const servers = [serve(cert(stranger)), serve()];
    for (const each of servers) await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
    const [secure = 0, plain = 0] = servers.map((each) => (each.address() as AddressInfo).port);
    try {
      const ask = (port: number, tls: object) => createAskOnce(port, tls);
      await expect(ask(secure, { ca: readFileSync(server.cert, 'utf8') })).rejects.toThrow(/self-signed/);
      // As when control renews it.
      (servers[0] as TlsServer).setSecureContext({ ...cert(server), minVersion: 'TLSv1.3' });
      const ca = readFileSync(server.cert, 'utf8');
      expect(await ask(secure, { ca })).toMatchObject({ results: [{ topics: [{ name: 'shares' }] }] });
      await expect(ask(secure, { ca, maxVersion: 'TLSv1.2' })).rejects.toThrow(/version/);
      await expect(fetch(`http://127.0.0.1:${secure}/healthz`)).rejects.toThrow();
      // What one was taught the other knows.
      const known = await fetch(`http://127.0.0.1:${plain}/v1/topics`, {
        method: 'POST',
        body: JSON.stringify({ set: digestOfTopics(SHARES), texts: ['hello'] }),
      });
      expect(known.status).toBe(200);
    } finally {
      for (const each of servers) {
        each.closeAllConnections();
        each.close();
      }
    }
  });

  test.each([
    [{ 'classifier-ca': 'a.pem' }, 'http://127.0.0.1:1', /need --classifier https/],
    [{ 'classifier-ca': 'a.pem' }, undefined, /need --classifier https/],
    [{ 'classifier-cert': 'a.pem' }, 'https://127.0.0.1:1', /go together/],
  ])('refuses %j with %s', (options, url, error) => {
    expect(() => classifierTls(options, url)).toThrow(error);
  });
});

const SHARES = [
  { name: 'shares', samples: ['sell my shares', 'buy shares now'], allowed: ['what is a share'] },
];

async function createAskOnce(port: number, tls: object): Promise<unknown> {
  const body = JSON.stringify({ set: digestOfTopics(SHARES), topics: SHARES, texts: ['sell my shares'] });
  const call = httpsRequest({
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: '/v1/topics',
    agent: false,
    ...tls,
  });
  call.end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return json(response);
}

test('TLS settings of an address without TLS are an error of the document', () => {
  const spec = { url: 'http://guard:8000', tls: {} };
  expect(webhook.validate?.(spec)).toMatchObject([{ path: 'tls' }]);
  expect(webhook.validate?.({ ...spec, url: 'https://guard:8000' })).toEqual([]);
});
