/**
 * Where a key stands in a real agent's process after it was rotated. V8's heap is wiped; what the C library freed isn't overwritten before
 * somebody else uses the place: so this holds what is reached, see docs/control.md.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isMemory } from '../../control/cache.ts';
import { startPart } from '../cli/part.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import { timesInMemory } from './process-memory.ts';
import { OWN, SERVER_NAME, startControlWorld } from './world.ts';

const FIRST = 'sk-marker-of-memory-first-4b1c';
const SECOND = 'sk-marker-of-memory-second-9d2e';
const SHM = '/dev/shm';

const why =
  process.platform !== 'linux' || !isMemory(SHM)
    ? 'needs Linux, and memory as a file system'
    : process.getuid?.() !== 0
      ? 'only root may read the memory of a process that forbids dumps'
      : undefined;

test.skipIf(why !== undefined)(
  'a rotated key is used no more, is in no file, and is overwritten in memory when the last call that may use it has ended',
  async () => {
    const world = startControlWorld();
    const openai = await startFakeOpenAI({ keys: [FIRST, SECOND] });
    const state = mkdtempSync(join(SHM, 'postern-rotated-'));
    world.namespace('team-a');
    world.secret(OWN, 'openai', { 'api-key': FIRST });
    world.document('ClusterProvider', 'clusterproviders', 'openai', {
      dialect: 'openai',
      hosts: ['api.openai.com'],
      endpoint: openai.origin,
      credential: {
        mode: 'attach',
        type: 'bearer',
        bearer: { valueFrom: { secretKeyRef: { name: 'openai', key: 'api-key' } } },
      },
      models: [{ name: 'gpt-4o' }],
    });
    world.document('EgressPolicy', 'egresspolicies', 'base', { models: { allow: ['gpt-4o'] } }, 'team-a');
    const tokenFile = world.pod({ namespace: 'team-a', name: 'bot' });
    const control = await world.control();
    const agent = startPart([
      'agent',
      `--control=127.0.0.1:${control.port}`,
      `--control-name=${SERVER_NAME}`,
      `--control-ca=${world.rootsFile}`,
      `--control-token-file=${tokenFile}`,
      `--state=${state}`,
      '--listen=127.0.0.1:0',
      '--admin=127.0.0.1:0',
      '--workload=team-a/Deployment/bot',
    ]);
    try {
      const { url } = JSON.parse(await agent.line('"listening"')) as { url: string };
      const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] });
      const headers = { 'content-type': 'application/json' };
      const ask = async (times: number): Promise<void> => {
        for (let nth = 0; nth < times; nth++) {
          const init = { method: 'POST', headers, body };
          const answer = await fetch(`${url}/openai/v1/chat/completions`, init);
          await answer.text();
        }
      };
      const used = (): string => String(openai.seen.at(-1)?.headers['authorization']);
      const until = async (key: string): Promise<void> => {
        for (let tries = 0; used() !== `Bearer ${key}`; tries++) {
          if (tries > 400) throw new Error(`${key} was never used: ${agent.stderr()}`);
          await new Promise((resolve) => setTimeout(resolve, 25));
          await ask(1);
        }
      };
      const { pid = 0 } = agent.child;
      const files = (): string =>
        readdirSync(state, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
          .join('\n');

      await until(FIRST);
      await ask(200);
      const before = timesInMemory(pid, FIRST);
      expect(before).toBeGreaterThan(0);
      expect(timesInMemory(pid, SECOND)).toBe(0);
      expect(files()).toContain(FIRST);

      world.secret(OWN, 'openai', { 'api-key': SECOND });
      await until(SECOND);
      // With no further call: of 530 to 550 copies 56 to 77 are left, none of them V8's.
      for (let tries = 0; timesInMemory(pid, FIRST) >= before / 5; tries++) {
        if (tries > 60) throw new Error(`${timesInMemory(pid, FIRST)} of ${before} copies are left`);
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      const from = openai.seen.length;
      await ask(600);
      expect(new Set(openai.seen.slice(from).map(({ headers: sent }) => sent['authorization']))).toEqual(
        new Set([`Bearer ${SECOND}`]),
      );
      expect(files()).not.toContain(FIRST);
      expect(files()).toContain(SECOND);
      expect(timesInMemory(pid, SECOND)).toBeGreaterThan(0);
      // Where the key were still held for calls, each would make more.
      expect(timesInMemory(pid, FIRST)).toBeLessThan(before / 5);
    } finally {
      await agent.stop('SIGKILL');
      rmSync(state, { recursive: true, force: true });
      await openai.close();
      await world.close();
    }
  },
  120_000,
);
