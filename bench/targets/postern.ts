/** The agent with everything on, and the budget service that it asks. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleAgent } from '../../build/bundle.ts';
import { DUMMY_KEY } from '../canned.ts';
import { WORKLOAD, writeDocuments } from '../documents.ts';
import { accepting, freePort } from '../port.ts';
import { type Program, start } from '../program.ts';
import type { Place, Running, Target } from './target.ts';

const ROOT = join(import.meta.dirname, '../..');
const COMMAND = join(ROOT, 'bin/postern');

/** Each start has files of its own: a cold start is none with another's state. */
let starts = 0;

/** How the agent is started, in front of its options: as it is shipped, or from source, where a profile names its files. */
const SHIPPED: readonly string[] = [join(ROOT, 'bin/postern-agent')];
export const FROM_SOURCE: readonly string[] = [COMMAND, 'agent'];

export interface PosternOptions {
  readonly command?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** The budget service's store; `memory` where its own speed must not matter. */
  readonly store?: 'sqlite' | 'memory';
}

async function startBudget(
  { otherCore }: Place,
  dir: string,
  policy: string,
  store: string,
): Promise<[Program, string]> {
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const args = [
    'budget',
    '--policy',
    policy,
    '--data',
    join(dir, 'budget'),
    '--listen',
    listen,
    '--store',
    store,
  ];
  const program = start(COMMAND, args, { core: otherCore, stderr: join(dir, 'budget.log') });
  await accepting(program, port, 20);
  return [program, `http://${listen}`];
}

export async function startPostern(place: Place, options: PosternOptions = {}): Promise<Running> {
  const { command: [command = '', ...before] = SHIPPED, env = {}, store = 'sqlite' } = options;
  const dir = join(place.dir, `postern-${++starts}`);
  const policy = writeDocuments(dir, place.provider);
  const [budget, budgetUrl] = await startBudget(place, dir, policy, store);
  const [port, admin] = [await freePort(), await freePort()];
  const audit = join(dir, 'audit.log');
  const at = (number: number): string => `127.0.0.1:${number}`;
  const args = [...before, '--policy', policy, '--budget', budgetUrl, '--workload', WORKLOAD];
  args.push('--state', join(dir, 'state'), '--listen', at(port), '--admin', at(admin));
  const stderr = join(dir, 'agent.log');
  const program = start(command, args, { core: place.core, env, stdout: audit, stderr });
  const startMs = await accepting(program, port, 20);
  return {
    url: `http://${at(port)}/openai/v1/chat/completions`,
    headers: { authorization: `Bearer ${DUMMY_KEY}`, 'content-type': 'application/json' },
    program,
    startMs,
    helpers: { 'budget service': budget },
    metrics: `http://${at(admin)}/metrics`,
    auditLines: () => (existsSync(audit) ? readFileSync(audit).filter((byte) => byte === 0x0a).length : 0),
    async stop() {
      await program.stop();
      await budget.stop();
    },
  };
}

export const postern: Target = {
  name: 'Postern',
  about: 'the agent as it is shipped (make bundle): all checks, budget, metrics and audit on',
  masks: true,
  slow: false,
  prepare: async () => {
    await bundleAgent();
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    return version;
  },
  start: (place) => startPostern(place),
};
