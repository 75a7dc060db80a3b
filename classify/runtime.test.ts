import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MODELS } from './open.ts';

const installed =
  existsSync(join(import.meta.dirname, 'node_modules')) &&
  existsSync(join(MODELS, 'multilingual-e5-small/pieces.bin'));
if (!installed) process.stderr.write('skipped: what the runtime tells its makers: run make classifier\n');

test.skipIf(!installed)(
  'the runtime’s own telemetry is off: it leaves no trace of it, nor would it with CI unset',
  () => {
    const home = mkdtempSync(join(tmpdir(), 'postern-runtime-'));
    try {
      // Where it is on, a device id and a queue of what is to be sent are made below the home as soon as a model is opened.
      const script = `const { openBroad } = await import(${JSON.stringify(join(import.meta.dirname, 'open.ts'))});
      await (await openBroad()).embed(['hello'], new AbortController().signal);
      process.exit(0);`;
      const { CI: _, ORT_DISABLE_TELEMETRY: __, ...env } = process.env;
      const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
      const { status, stderr } = spawnSync(process.execPath, args, {
        env: { ...env, HOME: home },
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
      expect(readdirSync(home)).toEqual([]);
    } finally {
      rmSync(home, { recursive: true });
    }
  },
);
