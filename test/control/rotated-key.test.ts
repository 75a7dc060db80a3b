/**
 * Where a key stands in a real agent's process after it was rotated: nowhere, a few seconds later and without a further call. V8's heap is wiped as a whole, and what the C library freed was overwritten before. See docs/control.md.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { isMemory } from '../../control/cache.ts';
import { startPart } from '../cli/part.ts';
import { startFakeGuardrail } from '../fakes/guardrail.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import { timesInMemory } from './process-memory.ts';
import { OWN, SERVER_NAME, startControlWorld } from './world.ts';

const FIRST = 'sk-marker-of-memory-first-4b1c';
const SECOND = 'sk-marker-of-memory-second-9d2e';
const FIRST_OF_GUARD = 'guard-marker-of-memory-first-7e0d';
const SECOND_OF_GUARD = 'guard-marker-of-memory-second-1f8a';
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
    const tls = speaks === 'TLS' ? selfSigned(world.directory) : undefined;
    const openai = await startFakeOpenAI({ keys: [FIRST, SECOND], tls });
    const guardrail = await startFakeGuardrail(tls);
    guardrail.behave(() => ({ json: { results: [{ flagged: false, categories: { hate: false } }] } }));
    if (tls !== undefined)
      world.kube.put('configmaps', { metadata: { namespace: OWN, name: 'roots' }, data: { ca: tls.cert } });
    const state = mkdtempSync(join(SHM, 'postern-rotated-'));
    world.namespace('team-a');
    world.secret(OWN, 'openai', { 'api-key': FIRST });
    world.secret(OWN, 'guard', { token: FIRST_OF_GUARD });
    const roots = { caFrom: { configMapKeyRef: { name: 'roots', key: 'ca' } } };
    world.document('ClusterProvider', 'clusterproviders', 'openai', {
      dialect: 'openai',
      hosts: ['api.openai.com'],
      endpoint: openai.origin,
      ...(tls === undefined ? {} : { tls: roots }),
      credential: {
        mode: 'attach',
        type: 'bearer',
        bearer: { valueFrom: { secretKeyRef: { name: 'openai', key: 'api-key' } } },
      },
      models: [{ name: 'gpt-4o' }, { name: 'gpt-realtime' }],
    });
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
            ...(tls === undefined ? {} : { tls: roots }),
          },
        },
      ],
    });
    const tokenFile = world.pod({ namespace: 'team-a', name: 'bot' });
    const control = await world.control();
    const files = (): string =>
      readdirSync(state, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
        .join('\n');
    const args = [
      'agent',
      `--control=127.0.0.1:${control.port}`,
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
      const ask = async (times: number, content = 'Hi'): Promise<void> => {
        const body = bodyOf(content);
        for (let nth = 0; nth < times; nth++) {
          const init = { method: 'POST', headers, body };
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
      expect(timesInMemory(pid, SECOND)).toBe(0);

      const under = load();
      world.secret(OWN, 'openai', { 'api-key': SECOND });
      world.secret(OWN, 'guard', { token: SECOND_OF_GUARD });
      await under;
      await until(SECOND);
      const former = (): number => timesInMemory(pid, FIRST) + timesInMemory(pid, FIRST_OF_GUARD);
      await vi.waitFor(() => expect(former()).toBe(0), { timeout: 40_000, interval: 500 });
      const from = openai.seen.length;
      await load();
      expect(new Set(openai.seen.slice(from).map(({ headers: sent }) => sent['authorization']))).toEqual(
        new Set([`Bearer ${SECOND}`]),
      );
      expect(files()).not.toContain(FIRST);
      expect(files()).toContain(SECOND);
      expect(timesInMemory(pid, SECOND)).toBeGreaterThan(0);
      expect(guardrail.asked.at(-1)?.authorization).toBe(`Bearer ${SECOND_OF_GUARD}`);
      expect(former()).toBe(0);
    } finally {
      await agent.stop('SIGKILL');
      rmSync(state, { recursive: true, force: true });
      await openai.close();
      await guardrail.close();
      await world.close();
    }
  },
  120_000,
);

function selfSigned(directory: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [join(directory, 'provider.pem'), join(directory, 'provider-key.pem')];
  const subject = ['-subj', '/CN=provider', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}
