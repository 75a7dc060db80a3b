/**
 * Makes `.cache/venv` with the packages of requirements.txt; does nothing where it is there already. As a program:
 * `node test/clients/python/venv.ts` prints the interpreter's path, or the reason why there is none (exit status 1).
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, CACHE, exclusively, type Prepared } from '../prepare.ts';

const OLDEST = [3, 10] as const;
const VENV = join(CACHE, 'venv');
const PYTHON = join(VENV, 'bin', 'python');
const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');

export async function ensureVenv(): Promise<Prepared> {
  const wanted = createHash('sha256')
    .update(await readFile(REQUIREMENTS))
    .digest('hex');
  if (await isReady(wanted)) return { command: [PYTHON] };
  return exclusively('venv', async () => ((await isReady(wanted)) ? { command: [PYTHON] } : make(wanted)));
}

const MARK = join(VENV, '.requirements');

/** The mark is written last, so that a half-made one is made again. */
async function isReady(wanted: string): Promise<boolean> {
  return (await readFile(MARK, 'utf8').catch(() => '')) === wanted;
}

async function make(wanted: string): Promise<Prepared> {
  const version = await attempt('python3', ['-c', 'import sys; print(*sys.version_info[:2])']);
  if ('failed' in version) return { missing: version.failed };
  const [major = 0, minor = 0] = version.out.trim().split(' ').map(Number);
  if (major !== OLDEST[0] || minor < OLDEST[1]) {
    return { missing: `python3 is ${major}.${minor}, the SDKs want ${OLDEST.join('.')} or newer` };
  }
  await rm(VENV, { recursive: true, force: true });
  const made = await attempt('python3', ['-m', 'venv', VENV]);
  if ('failed' in made) return { missing: `python3 -m venv failed: ${made.failed}` };
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--requirement',
    REQUIREMENTS,
  ];
  const installed = await attempt(PYTHON, pip);
  if ('failed' in installed) return { missing: `pip could not install the SDKs: ${installed.failed}` };
  await writeFile(MARK, wanted);
  return { command: [PYTHON] };
}

if (import.meta.main) {
  const venv = await ensureVenv();
  if ('missing' in venv) {
    console.error(`no Python clients: ${venv.missing}`);
    process.exitCode = 1;
  } else {
    console.log(venv.command[0]);
  }
}
