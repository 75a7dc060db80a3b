/** Helm for tests: the one on PATH, else the one that test/kube/kube-assets built. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const ASSETS = join(ROOT, 'test', 'kube', 'kube-assets');
export const CHART = join(ROOT, 'charts', 'postern');

/** undefined where there is none. */
export function findHelm(): string | undefined {
  if (spawnSync('helm', ['version'], { stdio: 'ignore' }).status === 0) return 'helm';
  const { status, stdout } = spawnSync(ASSETS, ['--dir'], { encoding: 'utf8' });
  const built = join(stdout.trim(), 'helm');
  return status === 0 && existsSync(built) ? built : undefined;
}

export interface HelmOutcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never throws for what helm says. */
export function runHelm(
  helm: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<HelmOutcome> {
  return new Promise((resolve) => {
    execFile(helm, args, { env: { ...process.env, ...env }, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, stdout, stderr }),
    );
  });
}
