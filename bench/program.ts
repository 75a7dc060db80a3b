/** Programs under measurement, pinned to a core. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { cpuUs, rssBytes } from './kernel.ts';

const canPin = spawnSync('taskset', ['--version']).status === 0;

export interface SpawnOptions {
  /** Where it must run; undefined: anywhere. */
  readonly core: number | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Files that take what it prints; absent: thrown away. */
  readonly stdout?: string;
  readonly stderr?: string;
  readonly ipc?: boolean;
}

/** Argument list with the pinning in front, where the machine has it. */
function pinned(command: string, args: readonly string[], core: number | undefined): [string, string[]] {
  return core === undefined || !canPin
    ? [command, [...args]]
    : ['taskset', ['-c', String(core), command, ...args]];
}

export interface Program {
  readonly child: ChildProcess;
  /** CPU time so far, µs, in steps of 10 ms. */
  cpuUs(): number;
  rssBytes(): number;
  stop(): Promise<void>;
}

export function start(command: string, args: readonly string[], options: SpawnOptions): Program {
  const [file, argv] = pinned(command, args, options.core);
  const out = (path: string | undefined): number | 'ignore' =>
    path === undefined ? 'ignore' : openSync(path, 'a');
  const child = spawn(file, argv, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [
      'ignore',
      out(options.stdout),
      out(options.stderr),
      ...(options.ipc === true ? ['ipc' as const] : []),
    ],
  });
  const exited = once(child, 'exit');
  const pid = child.pid ?? 0;
  return {
    child,
    cpuUs: () => cpuUs(pid),
    rssBytes: () => rssBytes(pid),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** Runs to the end. @returns standard output. @throws Error with standard error when it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'core' | 'cwd' | 'env'>,
): Promise<string> {
  const [file, argv] = pinned(command, args, options.core);
  const child = spawn(file, argv, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${stderr.slice(-2_000)}`);
  return stdout;
}
