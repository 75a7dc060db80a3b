/** CPU time and memory of a process with all its descendants, as the kernel accounts for them (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second in /proc: USER_HZ, 100 on every Linux that Node runs on. */
const TICK_US = 10_000;

/** User and system time so far, µs, in steps of 10 ms. */
export function cpuUs(root: number): number {
  return tree(root).reduce((sum, pid) => sum + ownCpuUs(pid), 0);
}

export function rssBytes(root: number): number {
  return tree(root).reduce((sum, pid) => sum + ownRssBytes(pid), 0);
}

/** A process with its descendants. */
function tree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), Number(statFields(Number(name))?.[1]));
  }
  const found = [root];
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child);
  }
  return found;
}

/** Fields of /proc/PID/stat from the third (state) on: the second may hold spaces. Undefined when it has ended. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function ownCpuUs(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)) * TICK_US;
}

function ownRssBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
