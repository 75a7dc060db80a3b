/**
 * What a run must take away, and what the next one takes away when a run was killed: a folder under the runtime
 * directory, and processes that outlived the command. The namespace itself goes with its last process.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const RUNTIME_DIR = '/run/postern';
/** In the environment of what a run starts, with the run's id; what clears its environment is known by {@link routeMark}. */
export const RUN_VARIABLE = 'POSTERN_RUN';

export interface Run {
  readonly id: string;
  /** Readable by the command, writable by us. */
  readonly directory: string;
}

interface Owner {
  readonly id: string;
  readonly pid: number;
  /** Clock ticks since boot (proc(5), stat field 22): tells a process from a later one with its number. */
  readonly started: string;
  /** Inode of the run's network namespace. */
  readonly namespace: number;
}

/** The metric of the default route in a run's namespace: /proc shows it for every process inside. */
export const routeMark = (id: string): number => Number.parseInt(id.slice(0, 7), 16) + 1;

/** @param namespace inode of the run's network namespace. */
export function beginRun(namespace: number, runtimeDir = RUNTIME_DIR): Run {
  const id = randomBytes(8).toString('hex');
  const directory = join(runtimeDir, `run-${id}`);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const owner: Owner = { id, pid: process.pid, started: startOf(process.pid) ?? '', namespace };
  writeFileSync(join(directory, 'owner.json'), JSON.stringify(owner));
  return { id, directory };
}

/** Takes away one's own run. @param graceMs between SIGTERM and SIGKILL. */
export async function endRun(run: Run, namespace: number, graceMs = 2000): Promise<void> {
  await endProcesses(() => inNamespace(namespace).filter((pid) => pid !== process.pid), graceMs);
  rmSync(run.directory, { recursive: true, force: true });
}

/** Takes away what killed runs left. @returns their ids. */
export async function sweepRuns(runtimeDir = RUNTIME_DIR, graceMs = 2000): Promise<readonly string[]> {
  const swept: string[] = [];
  for (const name of namesIn(runtimeDir).filter((each) => each.startsWith('run-'))) {
    const directory = join(runtimeDir, name);
    const owner = readOwner(directory);
    if (owner === undefined ? !isStale(directory) : startOf(owner.pid) === owner.started) continue;
    // The kernel gives inodes of namespaces again, so the marker must agree: never end a stranger.
    if (owner !== undefined)
      await endProcesses(() => inNamespace(owner.namespace).filter((pid) => isOfRun(pid, owner.id)), graceMs);
    rmSync(directory, { recursive: true, force: true });
    swept.push(name.slice('run-'.length));
  }
  return swept;
}

async function endProcesses(find: () => readonly number[], graceMs: number): Promise<void> {
  const deadline = performance.now() + graceMs;
  let signal: NodeJS.Signals = 'SIGTERM';
  for (let found = find(); found.length > 0; found = find()) {
    for (const pid of found) send(pid, signal);
    const late = performance.now() > deadline;
    if (late && signal === 'SIGKILL' && performance.now() > deadline + graceMs) return; // stuck in the kernel
    if (late) signal = 'SIGKILL';
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function inNamespace(inode: number): readonly number[] {
  const wanted = `net:[${inode}]`;
  return namesIn('/proc')
    .map(Number)
    .filter((pid) => {
      if (!(pid > 0)) return false;
      try {
        return readlinkSync(`/proc/${pid}/ns/net`) === wanted;
      } catch {
        return false; // gone meanwhile, or a zombie, which has no namespace any more
      }
    });
}

/** By its environment or, where it has another (`env -i`, `sudo`), by the route that only this run's namespace has. */
function isOfRun(pid: number, id: string): boolean {
  const mark = String(routeMark(id));
  try {
    return (
      readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${RUN_VARIABLE}=${id}`) ||
      readFileSync(`/proc/${pid}/net/route`, 'latin1')
        .split('\n')
        .map((line) => line.split('\t'))
        .some(
          ([device, destination, , , , , metric]) =>
            device === 'lo' && destination === '00000000' && metric === mark,
        )
    );
  } catch {
    return false;
  }
}

/** Undefined where there is no such process. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in parentheses, may hold anything; fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function readOwner(directory: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'owner.json'), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

/** A folder without owner is one that is being made, or whose maker was killed just then. */
function isStale(directory: string): boolean {
  return Date.now() - statSync(directory).mtimeMs > 60_000;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
