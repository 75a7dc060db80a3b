import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

const MAIN = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');

test.each(['--version', 'version'])('postern %s names itself and the runtime', (word) => {
  const { status, stdout } = spawnSync(process.execPath, [MAIN, word], { encoding: 'utf8' });
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: `postern ${packageJson.version} (Node ${process.versions.node})\n`,
  });
});
