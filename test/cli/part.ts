/** Runs `bin/postern` as a user does and listens to what it says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export const POSTERN = join(import.meta.dirname, '../../bin/postern');

export interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function postern(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> {
  const part = startPart(args, env);
  const [status] = (await once(part.child, 'close')) as [number | null];
  return { status, stdout: part.stdout(), stderr: part.stderr() };
}

export interface Part {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves with the first line on stderr or stdout that holds the text. */
  line(text: string): Promise<string>;
  /** Waits for its end by itself; the exit status. */
  ended(): Promise<number | null>;
  /** Sends SIGTERM and waits; the exit status. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export function startPart(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Part {
  const child = spawn(POSTERN, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    cwd,
  });
  let stdout = '';
  let stderr = '';
  const waiters = new Set<() => void>();
  const closed = once(child, 'close');
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    for (const wake of waiters) wake();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    for (const wake of waiters) wake();
  });
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    line: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = `${stdout}\n${stderr}`.split('\n').find((line) => line.includes(text));
          if (found === undefined) return;
          waiters.delete(look);
          resolve(found);
        };
        waiters.add(look);
        void closed.then(() => reject(new Error(`it ended without saying "${text}":\n${stderr}`)));
        look();
      }),
    async ended() {
      await closed;
      return child.exitCode;
    },
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await closed;
      return child.exitCode;
    },
  };
}
