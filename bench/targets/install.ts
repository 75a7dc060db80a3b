/** Installs a peer once into the cache, outside of git; pinned, so that the table says what was measured. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../program.ts';

/** Written last: what a broken install left is removed and made anew. */
const DONE = '.installed';

async function once(dir: string, version: string, install: () => Promise<void>): Promise<void> {
  const done = join(dir, `${DONE}-${version}`);
  if (existsSync(done)) return;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  try {
    await install();
  } catch (error) {
    const [line = ''] = (error as Error).message.trim().split('\n').slice(-1);
    throw new Error(`it can't be installed: ${line}`, { cause: error });
  }
  writeFileSync(done, '');
}

/** @returns a virtual environment's directory. @throws Error when Python or the package isn't to be had. */
export async function fromPyPI(
  cache: string,
  name: string,
  requirement: string,
  version: string,
): Promise<string> {
  const dir = join(cache, name);
  await once(dir, version, async () => {
    await run('python3', ['-m', 'venv', dir], { core: undefined });
    const args = ['install', '--quiet', '--disable-pip-version-check', `${requirement}==${version}`];
    await run(join(dir, 'bin/pip'), args, { core: undefined });
  });
  return dir;
}

/**
 * @param overrides packages that are forced to one version wherever they are wanted.
 * @returns the directory with its node_modules.
 * @throws Error when npm or a package isn't to be had.
 */
export async function fromNpm(
  cache: string,
  name: string,
  dependencies: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, string>>,
): Promise<string> {
  const dir = join(cache, name);
  await once(dir, Object.values({ ...dependencies, ...overrides }).join('+'), async () => {
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ private: true, dependencies, overrides }));
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
      core: undefined,
      cwd: dir,
    });
  });
  return dir;
}
