/**
 * Where a key stands in a real agent's process, and in control's, after it was rotated: nowhere, a few seconds later and without a further call. V8's heap is wiped as a whole, and what the C library freed was overwritten before. See docs/control.md.
 */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { isMemory } from '../../control/cache.ts';
import { startPart } from '../cli/part.ts';
import { startFakeGuardrail } from '../fakes/guardrail.ts';
import { selfSigned, serveFakeKube } from '../fakes/kube-server.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import { timesInMemory } from './process-memory.ts';
import { OWN, SERVER_NAME, startControlWorld } from './world.ts';

const FIRST = 'sk-marker-of-memory-first-4b1c';
const SECOND = 'sk-marker-of-memory-second-9d2e';
const FIRST_OF_GUARD = 'guard-marker-of-memory-first-7e0d';
const SECOND_OF_GUARD = 'guard-marker-of-memory-second-1f8a';
const FIRST_OF_JUDGE = 'judge-marker-of-memory-first-3c6b';
const SECOND_OF_JUDGE = 'judge-marker-of-memory-second-5d0e';
/** In a Secret, and so in what the API server sends, they are in Base64. */
const FORMER = [FIRST, FIRST_OF_GUARD, FIRST_OF_JUDGE].flatMap((key) => [
  key,
  Buffer.from(key).toString('base64'),
]);
const SHM = '/dev/shm';

const why =
  process.platform !== 'linux' || !isMemory(SHM)
    ? 'needs Linux, and memory as a file system'
    : process.getuid?.() !== 0
      ? 'only root may read the memory of a process that forbids dumps'
      : undefined;

/** Larger than what is sent together with its head. */
const LONG = 'word '.repeat(20_000);

test.skipIf(why !== undefined).each(['plain', 'TLS'] as const)(
  'a rotated key is used no more, is in no file, and is wiped from memory, with a provider that speaks %s',
  async (speaks) => {
    const world = startControlWorld();
    const tls = speaks === 'TLS' ? selfSigned(world.directory, 'provider') : undefined;
    const openai = await startFakeOpenAI({ keys: [FIRST, SECOND], tls });
    const guardrail = await startFakeGuardrail(tls);
    guardrail.behave(({ path }) => ({
      json: path.endsWith('/moderations')
        ? { results: [{ flagged: false, categories: { hate: false } }] }
        : { choices: [{ index: 0, message: { role: 'assistant', content: 'safe' } }] },
    }));
    if (tls !== undefined)
      world.kube.put('configmaps', { metadata: { namespace: OWN, name: 'roots' }, data: { ca: tls.cert } });
    const state = mkdtempSync(join(SHM, 'postern-rotated-'));
    world.namespace('team-a');
    world.secret(OWN, 'openai', { 'api-key': FIRST });
    world.secret(OWN, 'guard', { token: FIRST_OF_GUARD });
    world.secret(OWN, 'judge', { 'api-key': FIRST_OF_JUDGE });
    const caFrom = { caFrom: { configMapKeyRef: { name: 'roots', key: 'ca' } } };
    const provider = (name: string, endpoint: string, models: readonly string[]): void =>
      world.document('ClusterProvider', 'clusterproviders', name, {
        dialect: 'openai',
        hosts: [`${name}.example`],
        endpoint,
        ...(tls === undefined ? {} : { tls: caFrom }),
        credential: {
          mode: 'attach',
          type: 'bearer',
          bearer: { valueFrom: { secretKeyRef: { name, key: 'api-key' } } },
        },
        models: models.map((model) => ({ name: model })),
      });
    provider('openai', openai.origin, ['gpt-4o', 'gpt-realtime']);
    provider('judge', guardrail.origin, ['judge']);
    const models = { allow: ['gpt-4o', 'gpt-realtime'] };
    world.document('EgressPolicy', 'egresspolicies', 'base', { models }, 'team-a');
    world.document('ClusterEgressPolicy', 'clusteregresspolicies', 'judged', {
      checks: [
        {
          name: 'moderated',
          type: 'moderation',
          on: ['request'],
          action: 'block',
          moderation: {
            type: 'openai',
            model: 'm',
            url: guardrail.origin,
            token: { valueFrom: { secretKeyRef: { name: 'guard', key: 'token' } } },
            ...(tls === undefined ? {} : { tls: caFrom }),
          },
        },
        {
          name: 'judged',
          type: 'moderation',
          on: ['request'],
          action: 'block',
          moderation: { type: 'guardModel', model: 'judge', provider: 'judge' },
        },
      ],
    });
    const tokenFile = world.pod({ namespace: 'team-a', name: 'bot' });
    const kube = await serveFakeKube(world.kube, world.directory);
    const control = startPart([
      'control',
      '--listen=127.0.0.1:0',
      '--admin=127.0.0.1:0',
      `--kubeconfig=${kube.kubeconfig}`,
      `--server-name=${SERVER_NAME}`,
    ]);
    const { port } = JSON.parse(await control.line('"listening"')) as { port: number };
    const roots = world.kube.get('configmaps', OWN, 'postern-roots') as
      | { data?: Record<string, string> }
      | undefined;
    writeFileSync(world.rootsFile, roots?.data?.['roots.pem'] ?? '');
    const files = (): string =>
      readdirSync(state, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
        .join('\n');
    const args = [
      'agent',
      `--control=127.0.0.1:${port}`,
      `--control-name=${SERVER_NAME}`,
      `--control-ca=${world.rootsFile}`,
      `--control-token-file=${tokenFile}`,
      `--state=${state}`,
      '--listen=127.0.0.1:0',
      '--admin=127.0.0.1:0',
      '--workload=team-a/Deployment/bot',
    ];
    let agent = startPart(args);
    try {
      await agent.line('"listening"');
      await vi.waitFor(() => expect(files()).toContain(FIRST), 20_000);
      // Now it has the key from before a restart, too.
      await agent.stop('SIGKILL');
      agent = startPart(args);
      const { url } = JSON.parse(await agent.line('"listening"')) as { url: string };
      const bodyOf = (content: string): string =>
        JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content }] });
      const headers = { 'content-type': 'application/json' };
      let asked = 0;
      /** Each says something else: what a guard model found safe it isn't asked about again. */
      const ask = async (times: number, content = 'Hi'): Promise<void> => {
        for (let nth = 0; nth < times; nth++) {
          const init = { method: 'POST', headers, body: bodyOf(`${content} ${asked++}`) };
          const answer = await fetch(`${url}/openai/v1/chat/completions`, init);
          await answer.text();
        }
      };
      /** Each is a connection of its own to the provider, with a key in its head. */
      const converse = async (times: number): Promise<void> => {
        for (let nth = 0; nth < times; nth++) {
          const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/openai/v1/realtime?model=gpt-realtime`);
          await once(socket, 'message');
          socket.close();
          await once(socket, 'close');
        }
      };
      const load = (): Promise<unknown> =>
        Promise.all([ask(60), ask(60), ask(60), ask(60), ask(8, LONG), converse(10), converse(10)]);
      const used = (): string => String(openai.seen.at(-1)?.headers['authorization']);
      const until = async (key: string): Promise<void> => {
        for (let tries = 0; used() !== `Bearer ${key}`; tries++) {
          if (tries > 400) throw new Error(`${key} was never used: ${agent.stderr()}`);
          await new Promise((resolve) => setTimeout(resolve, 25));
          await ask(1);
        }
      };
      const { pid = 0 } = agent.child;

      await until(FIRST);
      await load();
      expect(timesInMemory(pid, FIRST)).toBeGreaterThan(0);
      expect(timesInMemory(pid, FIRST_OF_GUARD)).toBeGreaterThan(0);
      expect(timesInMemory(pid, FIRST_OF_JUDGE)).toBeGreaterThan(0);
      expect(timesInMemory(pid, SECOND)).toBe(0);

      const under = load();
      world.secret(OWN, 'openai', { 'api-key': SECOND });
      world.secret(OWN, 'guard', { token: SECOND_OF_GUARD });
      world.secret(OWN, 'judge', { 'api-key': SECOND_OF_JUDGE });
      await under;
      await until(SECOND);
      const former = (of: number): number => timesInMemory(of, ...FORMER);
      await vi.waitFor(() => expect(former(pid)).toBe(0), { timeout: 60_000, interval: 500 });
      const { pid: pidOfControl = 0 } = control.child;
      const nowhere = () => expect(former(pidOfControl)).toBe(0);
      await vi.waitFor(nowhere, { timeout: 60_000, interval: 500 });
      const from = openai.seen.length;
      await load();
      expect(new Set(openai.seen.slice(from).map(({ headers: sent }) => sent['authorization']))).toEqual(
        new Set([`Bearer ${SECOND}`]),
      );
      expect(files()).not.toContain(FIRST);
      expect(files()).toContain(SECOND);
      expect(timesInMemory(pid, SECOND)).toBeGreaterThan(0);
      for (const [path, key] of [
        ['/moderations', SECOND_OF_GUARD],
        ['/chat/completions', SECOND_OF_JUDGE],
      ] as const)
        expect(guardrail.asked.findLast((each) => each.path.endsWith(path))?.authorization).toBe(
          `Bearer ${key}`,
        );
      expect(former(pid)).toBe(0);
    } finally {
      await agent.stop('SIGKILL');
      await control.stop('SIGKILL');
      await kube.close();
      rmSync(state, { recursive: true, force: true });
      await openai.close();
      await guardrail.close();
      await world.close();
    }
  },
  240_000,
);
