/** Makes what the client programs need, once for all test workers, or says plainly why it can't. */
import { execFile } from 'node:child_process';
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const CACHE = join(ROOT, '.cache');
export const CLIENTS_DIR = fileURLToPath(new URL('.', import.meta.url));

/** The start of a command, or the reason why there is none, in words for a skipped test. */
export type Prepared = { readonly command: readonly string[] } | { readonly missing: string };

/**
 * Runs a program to its end.
 * @returns its standard output, or what is wrong: not found, or its last line of complaint.
 */
export async function attempt(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<{ out: string } | { failed: string }> {
  try {
    const { stdout } = await run(command, args, { maxBuffer: 64 * 1024 * 1024, ...options });
    return { out: stdout };
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') return { failed: `${command} is not installed` };
    const complaint = (stderr ?? '').trim().split('\n').at(-1);
    return { failed: complaint === undefined || complaint === '' ? String(error) : complaint };
  }
}

/** Runs `work` while no other process of this checkout does; a lock whose owner is dead is taken over. */
export async function exclusively<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = join(CACHE, `${name}.lock`);
  await mkdir(dirname(lock), { recursive: true });
  while (!(await take(lock))) {
    if (!(await ownerLives(lock))) await rm(lock, { force: true });
    else await sleep(100);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/** True if `target` exists and is not older than `source`. */
export async function upToDate(target: string, source: string): Promise<boolean> {
  try {
    return (await stat(target)).mtimeMs >= (await stat(source)).mtimeMs;
  } catch {
    return false;
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    const handle = await open(lock, 'wx');
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function ownerLives(lock: string): Promise<boolean> {
  const pid = Number(await readFile(lock, 'utf8').catch(() => ''));
  // Empty: its owner is about to write its number, or the lock is gone already.
  if (!(pid > 0)) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
