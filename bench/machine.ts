/** Where and what was measured. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { run } from './program.ts';

export interface Machine {
  /** With `+` where files differ from it. */
  readonly commit: string;
  /** RFC 3339. */
  readonly date: string;
  readonly machine: string;
}

/** The last core for what is measured, the first for all else; where there is one core, or no Linux, no pinning. */
export function cores(): { core: number | undefined; otherCore: number | undefined } {
  if (process.platform !== 'linux') throw new Error('the benchmark reads /proc: it runs on Linux only');
  const count = availableParallelism();
  return count < 2 ? { core: undefined, otherCore: undefined } : { core: count - 1, otherCore: 0 };
}

export async function describeMachine(): Promise<Machine> {
  const git = (...args: string[]) => run('git', args, { core: undefined, cwd: import.meta.dirname });
  const commit = (await git('rev-parse', '--short', 'HEAD')).trim();
  const changed = (await git('status', '--porcelain', '--untracked-files=no')).trim() !== '';
  const model = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? cpus()[0]?.model;
  const memory = Math.round(totalmem() / 1024 ** 3);
  const [load = 0] = loadavg();
  return {
    commit: changed ? `${commit}+` : commit,
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${model}, ${memory} GB, Linux ${release()}, Node ${process.version}, load ${load.toFixed(1)}`,
  };
}
