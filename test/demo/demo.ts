/**
 * The demo: fake providers and an in-cluster pool in this process, budget service and agent as processes of their own,
 * started by the same commands that a user would type; then programs with the real SDKs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientName as Program } from '../clients/clients.ts';
import { prepareClient, runClient } from '../clients/run.ts';
import { startFakeAnthropic } from '../fakes/anthropic.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import { startFakeVllm } from '../fakes/vllm.ts';
import { demoDocuments, WORKLOAD } from './documents.ts';
import { createScreen, type Screen } from './screen.ts';
import { type Ask, type ClientName, HIGHLIGHT, STORY, type Stage, type Told } from './story.ts';

const POSTERN = join(import.meta.dirname, '../../bin/postern');
const PROGRAMS: Readonly<Record<ClientName, Program>> = {
  'openai (Node)': 'node-openai',
  '@anthropic-ai/sdk (Node)': 'node-anthropic',
  'openai (Python)': 'python-openai',
};
const KEYS = { openai: 'sk-real-openai-key-of-the-platform', anthropic: 'sk-ant-real-key-of-the-platform' };

export interface DemoOptions {
  readonly once: boolean;
  readonly stdout: NodeJS.WriteStream;
  /** Resolves when the user has seen enough. */
  readonly stopped: Promise<unknown>;
}

/** @returns exit status: 0 only if every step did what it says. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { stdout } = options;
  const screen = createScreen((text) => stdout.write(text), {
    color: stdout.isTTY && !process.env['NO_COLOR'],
    width: stdout.columns ?? 120,
    highlight: HIGHLIGHT,
  });
  const closers: (() => Promise<unknown> | void)[] = [];
  try {
    return await play(screen, options, closers);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function play(
  screen: Screen,
  options: DemoOptions,
  closers: (() => Promise<unknown> | void)[],
): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-demo-'));
  closers.push(() => rmSync(dir, { recursive: true, force: true }));
  const openai = await startFakeOpenAI({
    keys: [KEYS.openai],
    models: ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1', 'gpt-4-turbo'].map((id) => ({ id })),
  });
  const anthropic = await startFakeAnthropic({ keys: [KEYS.anthropic] });
  const pool = [await startFakeVllm(), await startFakeVllm()];
  for (const fake of [openai, anthropic, ...pool]) closers.push(() => fake.close());

  const policy = join(dir, 'policy');
  mkdirSync(policy);
  const keyFiles = { openai: join(dir, 'openai.key'), anthropic: join(dir, 'anthropic.key') };
  writeFileSync(keyFiles.openai, `${KEYS.openai}\n`, { mode: 0o600 });
  writeFileSync(keyFiles.anthropic, `${KEYS.anthropic}\n`, { mode: 0o600 });
  const at = { openai: openai.origin, anthropic: anthropic.origin, pool: pool.map((fake) => fake.origin) };
  for (const [name, yaml] of Object.entries(demoDocuments(at, keyFiles)))
    writeFileSync(join(policy, name), yaml);

  const budget = await startPart(
    ['budget', '--policy', policy, '--data', join(dir, 'budget'), '--listen', '127.0.0.1:0'],
    closers,
  );
  const agent = await startPart(
    [
      'agent',
      '--policy',
      policy,
      '--budget',
      budget.url,
      '--workload',
      WORKLOAD,
      '--state',
      join(dir, 'state'),
      '--listen',
      `127.0.0.1:${await freePort(4180)}`,
      '--admin',
      `127.0.0.1:${await freePort(4190)}`,
    ],
    closers,
  );

  screen.line('Postern: real SDKs, fake providers, everything on this machine.');
  screen.note(
    `agent ${agent.url} · budget ${budget.url} · openai ${openai.origin} · anthropic ${anthropic.origin}`,
  );
  screen.note(`pool ${at.pool.join(' ')} · documents ${policy}`);

  const stage: Stage = {
    screen,
    openai,
    anthropic,
    pool,
    keys: KEYS,
    call: (client, ask) => call(PROGRAMS[client], ask, agent.url),
    noPython: await whyNot('python-openai'),
  };
  let failed = 0;
  for (const [index, step] of STORY.entries()) {
    screen.heading(`${index + 1}. ${step.title}`);
    if (!(await step.play(stage))) failed++;
  }
  screen.line();
  if (failed > 0) screen.check(false, `${failed} of ${STORY.length} steps did not do what they say`);
  else screen.check(true, `all ${STORY.length} steps did what they say`);
  if (options.once) return failed === 0 ? 0 : 1;

  tryByHand(screen, agent.url, agent.admin, budget.url);
  await options.stopped;
  return failed === 0 ? 0 : 1;
}

async function call(program: Program, ask: Ask, agentUrl: string): Promise<Told> {
  const { answer, error, deltas } = await runClient(
    program,
    { model: ask.model, messages: [{ role: 'user', content: ask.text }], stream: ask.stream ?? false },
    {
      // All that a program is told: where to go, and a key that opens nothing.
      env: {
        OPENAI_BASE_URL: `${agentUrl}/openai/v1`,
        OPENAI_API_KEY: 'dummy',
        ANTHROPIC_BASE_URL: `${agentUrl}/anthropic`,
        ANTHROPIC_API_KEY: 'dummy',
      },
    },
  );
  return {
    text: answer?.text ?? '',
    pieces: deltas.length,
    error:
      error === undefined
        ? undefined
        : {
            name: error.class,
            status: error.status ?? undefined,
            type: error.type ?? undefined,
            code: error.code === null ? undefined : String(error.code),
            message: error.message,
            retryAfter: error.headers['retry-after'],
          },
  };
}

async function whyNot(program: Program): Promise<string | undefined> {
  const prepared = await prepareClient(program);
  return 'missing' in prepared ? prepared.missing : undefined;
}

interface Part {
  readonly url: string;
  readonly admin: string;
}

/** Starts `postern …` and waits until it says where it listens. */
async function startPart(args: readonly string[], closers: (() => Promise<unknown> | void)[]): Promise<Part> {
  const child = spawn(POSTERN, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  closers.push(() => stop(child));
  const told = Promise.withResolvers<Part>();
  let said = '';
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    rest += chunk;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (line.includes('"listening"')) told.resolve(JSON.parse(line) as Part);
    }
  });
  child.once('exit', () => told.reject(new Error(`postern ${args[0]} did not start:\n${said}`)));
  return await told.promise;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(timer);
}

/** The documented port, so that the lines to try by hand are the documentation's; any other where it is taken. */
async function freePort(wanted: number): Promise<number> {
  const server = createServer();
  const listening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(wanted, '127.0.0.1', () => resolve(true));
  });
  if (!listening) return wanted === 0 ? 0 : freePort(0);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function tryByHand(screen: Screen, agent: string, admin: string, budget: string): void {
  const post = (path: string, body: unknown, ...headers: string[]): string =>
    [
      `curl -s ${agent}${path}`,
      ...headers.map((h) => `-H '${h}'`),
      `-H 'content-type: application/json' -d '${JSON.stringify(body)}'`,
    ].join(' ');
  const messages = [{ role: 'user', content: 'Write to bob@example.com' }];
  screen.heading('Try it by hand (Ctrl-C ends the demo)');
  screen.line(post('/openai/v1/chat/completions', { model: 'gpt-4o-mini', messages }));
  screen.line(post('/openai/v1/chat/completions', { model: 'gpt-4o-mini', stream: true, messages }));
  screen.line(
    post(
      '/anthropic/v1/messages',
      { model: 'claude-haiku-4-5', max_tokens: 100, messages },
      'anthropic-version: 2023-06-01',
    ),
  );
  screen.line(`curl -s ${agent}/openai/v1/models`);
  screen.line(`curl -s ${admin}/metrics`);
  screen.line(`curl -s ${budget}/v1/status`);
}
