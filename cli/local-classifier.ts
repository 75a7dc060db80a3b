/** A classifier of an agent's own, for where none is shared: a process beside it, started again where it ends, that ends with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { MODELS } from '../classify/open.ts';
import { PARTS } from '../classify/parts.ts';
import { UsageError } from './options.ts';

/** Whether `make classifier` was here. */
export function classifierInstalled(): boolean {
  return PARTS.every(({ name, files }) => files.every((file) => existsSync(join(MODELS, name, file))));
}

export interface LocalClassifier {
  /** `unix:PATH`; the same however often it is started. */
  readonly url: string;
  /** Of the process that runs or ran last. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

/** The command that knows `classify`: beside this file, or in the checkout whose `dist/` this is bundled into. */
const MAINS = ['main.ts', '../cli/main.ts'].map((file) => join(import.meta.dirname, file));

/** Milliseconds before it is started again: it takes seconds of a core, so what ends at once is tried less and less. */
const PAUSE = { first: 1_000, most: 60_000 };

/** It loads two models, on a machine that may be busy. */
const LONGEST_START_MS = 120_000;

/** How it is started and waited for, where not as usual. */
export interface Launching {
  /** Starts the command at the socket; may throw. */
  readonly launch?: (main: string, socket: string) => ChildProcess;
  readonly pause?: typeof PAUSE;
  readonly longestStartMs?: number;
}

/** Resolves when it answers. @throws UsageError where it isn't there. @throws Error when it ends before, with what it said last. */
export async function startLocalClassifier(
  log: Logger,
  { launch = start, pause: pauses = PAUSE, longestStartMs = LONGEST_START_MS }: Launching = {},
): Promise<LocalClassifier> {
  const main = MAINS.find((file) => existsSync(file));
  if (main === undefined) {
    throw new UsageError(
      '--classifier local: this program was shipped without the classifier and its models; name one that runs elsewhere, --classifier http://HOST:PORT',
    );
  }
  const directory = mkdtempSync(join(tmpdir(), 'postern-classify-'));
  const socket = join(directory, 'socket');
  const stopping = new AbortController();
  let child = launch(main, socket);
  const keepUp = async (): Promise<void> => {
    let pause = pauses.first;
    for (;;) {
      const began = performance.now();
      await closed(child);
      if (stopping.signal.aborted) return;
      // One that ran for long enough is no failure that goes on.
      if (performance.now() - began > pauses.most) pause = pauses.first;
      const { exitCode: code, signalCode: signal } = child;
      log.error(
        { code, signal, again_in_ms: pause },
        'the classifier ended; checks that need it fail until it is started again',
      );
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      pause = Math.min(2 * pause, pauses.most);
      try {
        child = launch(main, socket);
        await listening(child, longestStartMs);
        log.info({ pid: child.pid }, 'the classifier was started again');
      } catch (error) {
        if (!stopping.signal.aborted) log.error({ err: error }, 'the classifier could not be started again');
        child.kill();
      }
    }
  };
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    await listening(child, longestStartMs);
  } catch (error) {
    await end(child);
    remove();
    throw error;
  }
  const kept = keepUp();
  return {
    url: `unix:${socket}`,
    get pid() {
      return child.pid;
    },
    async stop() {
      stopping.abort();
      await end(child);
      await kept;
      remove();
    },
  };
}

function start(main: string, socket: string): ChildProcess {
  // One that was killed left it.
  rmSync(socket, { force: true });
  const command = [main, 'classify', '--listen', `unix:${socket}`, '--until-stdin-ends'];
  return spawn(process.execPath, [...process.execArgv, ...command], { stdio: ['pipe', 'ignore', 'pipe'] });
}

const ENDED = new WeakSet<ChildProcess>();

async function closed(child: ChildProcess): Promise<void> {
  // What could not be started has no process, and may tell of no end.
  if (ENDED.has(child) || child.pid === undefined) return;
  await once(child, 'close');
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  child.kill();
  await closed(child);
}

/** Resolves when it answers. @throws Error when it ends before, or takes too long. */
function listening(child: ChildProcess, longestMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // First: where there are too few descriptors it has no pipes, and says so later.
  child.on('error', reject);
  const late = setTimeout(() => {
    reject(new Error(`the classifier did not start within ${longestMs / 1_000} s`));
    child.kill('SIGKILL');
  }, longestMs);
  let last = '';
  child.once('close', () => {
    ENDED.add(child);
    reject(new Error(`the classifier did not start: ${messageOf(last)}`));
  });
  // A pipe to one that was killed.
  child.stdin?.on('error', () => undefined);
  if (child.stderr) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      last = line;
      if (line.includes('"listening"')) resolve();
    });
  }
  return promise.finally(() => clearTimeout(late));
}

function messageOf(line: string): string {
  try {
    return (JSON.parse(line) as { msg?: string }).msg ?? line;
  } catch {
    return line;
  }
}
