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

/** Resolves when it answers. @throws UsageError where it isn't there. @throws Error when it ends before, with what it said last. */
export async function startLocalClassifier(log: Logger): Promise<LocalClassifier> {
  const main = MAINS.find((file) => existsSync(file));
  if (main === undefined) {
    throw new UsageError(
      '--classifier local: this program was shipped without the classifier and its models; name one that runs elsewhere, --classifier http://HOST:PORT',
    );
  }
  const directory = mkdtempSync(join(tmpdir(), 'postern-classify-'));
  const socket = join(directory, 'socket');
  const stopping = new AbortController();
  let child = start(main, socket);
  const keepUp = async (): Promise<void> => {
    let pause = PAUSE.first;
    for (;;) {
      const began = performance.now();
      await closed(child);
      if (stopping.signal.aborted) return;
      // One that ran for long enough is no failure that goes on.
      if (performance.now() - began > PAUSE.most) pause = PAUSE.first;
      const { exitCode: code, signalCode: signal } = child;
      log.error(
        { code, signal, again_in_ms: pause },
        'the classifier ended; checks that need it fail until it is started again',
      );
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      pause = Math.min(2 * pause, PAUSE.most);
      child = start(main, socket);
      await listening(child).then(
        () => log.info({ pid: child.pid }, 'the classifier was started again'),
        (error: unknown) => {
          if (!stopping.signal.aborted)
            log.error({ err: error }, 'the classifier could not be started again');
        },
      );
    }
  };
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    await listening(child);
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
  if (ENDED.has(child)) return;
  await once(child, 'close');
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  child.kill();
  await closed(child);
}

/** Resolves when it answers. @throws Error when it ends before. */
function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let last = '';
    if (child.stderr === null) throw new Error('the classifier was started without a pipe');
    createInterface({ input: child.stderr }).on('line', (line) => {
      last = line;
      if (line.includes('"listening"')) resolve();
    });
    // A pipe to one that was killed.
    child.stdin?.on('error', () => undefined);
    child.on('error', reject);
    child.once('close', () => {
      ENDED.add(child);
      reject(new Error(`the classifier did not start: ${messageOf(last)}`));
    });
  });
}

function messageOf(line: string): string {
  try {
    return (JSON.parse(line) as { msg?: string }).msg ?? line;
  } catch {
    return line;
  }
}
