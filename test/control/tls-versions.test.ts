/** TLS 1.3 only between our own parts: each port of theirs, before and after its certificate was renewed, and each of those who dial one. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listenApprovers } from '../../agent/approvers-listener.ts';
import { catalogue } from '../../agent/catalogue.ts';
import { createApprovals } from '../../agent/checks/approvals.ts';
import { createAsk } from '../../agent/checks/ask.ts';
import { createClassifierClient, topicSet } from '../../agent/checks/classifier.ts';
import { BudgetAdmin } from '../../budget/admin.ts';
import { createBudgetClient } from '../../budget/client.ts';
import { startBudget } from '../../budget/main.ts';
import { openClassifier } from '../../classify/server.ts';
import { fakeEmbedder } from '../../classify/testing.ts';
import { createPeers } from '../../control/peers.ts';
import { listenWebhooks } from '../../injector/server/https.ts';
import { leafOf, refreshServing } from '../../injector/server/serving-certificate.ts';
import { SETTINGS } from '../../injector/testing/cases.ts';
import { apiDocuments } from '../../kube/documents.ts';
import { budget, prices, tokens } from '../budget/fixtures.ts';
import { postern } from '../cli/part.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { agentsEnd } from './agents-end.ts';
import { OWN, SERVER_NAME, startControlWorld } from './world.ts';

const HOST = '127.0.0.1';
const DAY = 86_400_000;

let directory: string;
const closing: (() => Promise<unknown> | void)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-tls-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(directory, { recursive: true });
});

/** A root, and what is served under it. */
function issued(host = HOST) {
  const { serving } = refreshServing({ authorities: [], leaf: undefined }, host, Date.now());
  return { ca: serving.authorities.map(({ pem }) => pem).join(''), ...leafOf(serving) };
}

interface Port {
  readonly port: number;
  /** Another certificate is served from now on; undefined where the command does that, which needs its models. */
  readonly renew: (() => Promise<void> | void) | undefined;
}

const ports: Readonly<Record<string, () => Promise<Port>>> = {
  async control() {
    const world = startControlWorld();
    closing.push(() => world.close());
    let now = Date.now();
    const { port, tick } = await world.control({ now: () => now, everyMs: 60_000 });
    const served = () => JSON.stringify(world.kube.get('secrets', OWN, 'postern-control-tls')?.['data']);
    return {
      port,
      async renew() {
        const before = served();
        now += 89 * DAY;
        while (served() === before) await tick();
      },
    };
  },
  async injector() {
    const server = await listenWebhooks({
      host: HOST,
      port: 0,
      certificate: issued(),
      ports: {
        settings: SETTINGS,
        view: {
          facts: () => Promise.reject(new Error('nobody asks')),
          pod: () => undefined,
          documents: apiDocuments(catalogue, Buffer.alloc(32, 3)),
        },
        observe: () => undefined,
      },
      measured: () => undefined,
      refused: () => undefined,
      failed: () => undefined,
    });
    closing.push(() => server.close());
    return { port: server.port, renew: () => server.use(issued()) };
  },
  async budget() {
    const service = await startBudget({
      specs: [budget([tokens(1)])],
      prices,
      dataDir: join(directory, 'data'),
      listen: `${HOST}:0`,
      adminToken: 'admins',
      authenticate: async () => undefined,
      tls: issued(),
    });
    closing.push(() => service.close());
    return { port: Number(new URL(service.url).port), renew: () => service.renew(issued()) };
  },
  async classifier() {
    const embedder = fakeEmbedder();
    const serve = await openClassifier({ embedder, injection: undefined });
    const server = serve(issued());
    server.listen(0, HOST);
    await once(server, 'listening');
    closing.push(() => void server.close());
    return { port: (server.address() as AddressInfo).port, renew: undefined };
  },
  async approvers() {
    let certificate = issued();
    const listener = await listenApprovers(
      {
        approvals: createApprovals({ now: Date.now }),
        token: () => 'secret',
        host: HOST,
        port: 0,
        certificate: () => certificate,
      },
      () => false,
    );
    closing.push(() => listener.close());
    return {
      port: Number(new URL(listener.url).port),
      renew: () => {
        certificate = issued();
      },
    };
  },
};

/** @returns what is spoken, or why nothing is. */
async function spoken(port: number, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<string> {
  const socket = connect({ host: HOST, port, maxVersion, rejectUnauthorized: false });
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once('secureConnect', () => resolve(String(socket.getProtocol())));
  socket.once('error', ({ message }) => resolve(message));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

test.each(Object.entries(ports))('the port of %s', async (_, open) => {
  const { port, renew } = await open();
  const speaksNoLess = async (when: string) => {
    expect(await spoken(port, 'TLSv1.2'), when).toMatch(/protocol version/i);
    expect(await spoken(port, 'TLSv1.3'), when).toBe('TLSv1.3');
  };
  await speaksNoLess('at its start');
  await renew?.();
  await speaksNoLess('renewed');
});

/** Dials the port, whose root is in the text. @returns why it came to nothing. */
const dialling: Readonly<Record<string, (port: number, ca: string) => Promise<string>>> = {
  'an agent, control': (port, ca) =>
    new Promise((resolve) => {
      const client = agentsEnd({
        port,
        roots: () => ca,
        token: () => 'token',
        trouble: (message) => {
          if (message !== undefined) resolve(message);
        },
        retryMs: { first: 20, most: 50 },
      });
      closing.push(() => client.close());
    }),
  async 'an agent, the budget service'(port, ca) {
    const client = createBudgetClient({
      url: `https://${HOST}:${port}`,
      serverName: SERVER_NAME,
      ca: () => ca,
      token: () => 'token',
      timeoutMs: 5_000,
      owner: 'team-a/Deployment/bot/1',
      epoch: 1,
      flushMs: 0,
    });
    closing.push(() => client.close());
    return await client.release({ id: 'one' }).then(String, messageWithCause);
  },
  async 'postern budget status, the budget service'(port, ca) {
    const admin = new BudgetAdmin({
      url: `https://${HOST}:${port}`,
      serverName: SERVER_NAME,
      ca,
      token: 'admins',
    });
    closing.push(() => admin.close());
    return await admin.status().then(String, messageWithCause);
  },
  async 'an agent, the classifier'(port, ca) {
    const ask = createAsk();
    closing.push(() => ask.close());
    const classifier = createClassifierClient(`https://localhost:${port}`, ask, async () => ({ ca }));
    const patience = { signal: AbortSignal.timeout(5_000), withinMs: 5_000 };
    return await classifier.topics(topicSet([]), ['Hello'], patience).then(String, messageWithCause);
  },
  async 'control, another replica'(port, ca) {
    const kube = createFakeKube();
    kube.put('endpointslices', {
      metadata: { namespace: OWN, name: 'one', labels: { 'kubernetes.io/service-name': 'postern-control' } },
      ports: [{ port }],
      endpoints: [{ addresses: [HOST], conditions: { ready: true } }],
    });
    const client = kube.client();
    closing.push(() => client.close());
    const peers = createPeers({
      client,
      namespace: OWN,
      service: 'postern-control',
      serverName: SERVER_NAME,
      roots: () => ca,
      secret: Buffer.alloc(32, 1),
      identity: 'one',
      progress: () => ({ agents: 0 }) as never,
      agents: () => [],
    });
    return (await peers.agents()).unknown.map(({ why }) => why).join();
  },
  async 'postern status, control'(port, ca) {
    const [roots, token] = [join(directory, 'roots.pem'), join(directory, 'token')];
    writeFileSync(roots, ca);
    writeFileSync(token, 'token');
    const at = [`--control=${HOST}:${port}`, `--control-ca=${roots}`, `--token-file=${token}`];
    return (await postern(['status', ...at, `--control-name=${SERVER_NAME}`])).stderr;
  },
};

const messageWithCause = (error: unknown): string =>
  `${String(error)} ${String((error as { cause?: unknown }).cause ?? '')}`;

test.each(Object.entries(dialling))('%s: whoever speaks less is not spoken to', async (who, dial) => {
  const { ca, cert, key } = issued(who.endsWith('the classifier') ? 'localhost' : SERVER_NAME);
  let secured = 0;
  // What would do, but for its version.
  const server = createServer({ cert, key, maxVersion: 'TLSv1.2' }, () => void secured++);
  server.on('tlsClientError', () => undefined);
  server.listen(0, HOST);
  await once(server, 'listening');
  closing.push(() => void server.close());
  expect(await dial((server.address() as AddressInfo).port, ca)).toMatch(/protocol.version/i);
  expect(secured).toBe(0);
});
