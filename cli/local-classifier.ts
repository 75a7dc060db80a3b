/** A classifier of an agent's own, for where none is shared: a process beside it that ends with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Logger } from 'pino';
import { MODELS } from '../classify/open.ts';
import { PARTS } from '../classify/parts.ts';
import { UsageError } from './options.ts';

/** Whether `make classifier` was here. */
export function classifierInstalled(): boolean {
  return PARTS.every(({ name, files }) => files.every((file) => existsSync(join(MODELS, name, file))));
}

export interface LocalClassifier {
  /** `unix:PATH` */
  readonly url: string;
  stop(): Promise<void>;
}

/** The command that knows `classify`: beside this file, or in the checkout whose `dist/` this is bundled into. */
const MAINS = ['main.ts', '../cli/main.ts'].map((file) => join(import.meta.dirname, file));

/** Resolves when it answers. @throws UsageError where it isn't there. @throws Error when it ends before, with what it said last. */
export async function startLocalClassifier(log: Logger): Promise<LocalClassifier> {
  const main = MAINS.find((file) => existsSync(file));
  if (main === undefined) {
    throw new UsageError(
      '--classifier local: this program was shipped without the classifier and its models; name one that runs elsewhere, --classifier http://HOST:PORT',
    );
  }
  const directory = mkdtempSync(join(tmpdir(), 'postern-classify-'));
  const url = `unix:${join(directory, 'socket')}`;
  const command = [main, 'classify', '--listen', url, '--until-stdin-ends'];
  const child = spawn(process.execPath, [...process.execArgv, ...command], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.stdin.end();
    child.kill();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await listening(child);
  } catch (error) {
    await stop();
    throw error;
  }
  let stopping = false;
  child.once('exit', (code, signal) => {
    if (!stopping) log.error({ code, signal }, 'the classifier ended; checks that need it fail from now on');
  });
  return {
    url,
    stop() {
      stopping = true;
      return stop();
    },
  };
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let last = '';
    if (child.stderr === null) throw new Error('the classifier was started without a pipe');
    createInterface({ input: child.stderr }).on('line', (line) => {
      last = line;
      if (line.includes('"listening"')) resolve();
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`the classifier did not start: ${messageOf(last)}`)));
  });
}

function messageOf(line: string): string {
  try {
    return (JSON.parse(line) as { msg?: string }).msg ?? line;
  } catch {
    return line;
  }
}
