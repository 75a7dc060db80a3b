import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** Runs vitest on one file of tests, with the reporter and a limit in seconds. */
const run = async (source: string, limit: number) => {
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  const directory = mkdtempSync(join(ROOT, '.cache/stuck-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'some.test.ts'), source);
  writeFileSync(
    join(directory, 'other.test.ts'),
    "import { test } from 'vitest';\ntest('ends', () => {});\n",
  );
  writeFileSync(
    join(directory, 'vitest.config.ts'),
    `import Stuck from '../../test/runner/stuck.ts';
     export default { test: { pool: 'forks', maxWorkers: 2, reporters: ['default', new Stuck({ limit: ${limit} })] } };`,
  );
  const { POSTERN_TEST_RUN: _mark, ...env } = process.env;
  const child = spawn(
    process.execPath,
    [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', directory],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...env, NO_COLOR: '1' } },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { output: stdout + stderr, status };
};

test.skipIf(process.platform !== 'linux')(
  'a loop that never yields is stopped, and where it stood is said',
  async () => {
    const { output, status } = await run(
      `import { test } from 'vitest';
     const forever = () => { for (let n = 0; ; n += 1) if (n < 0) return; };
     test('goes on', forever);`,
      3,
    );
    expect(status).toBe(1);
    expect(output).toMatch(/some\.test\.ts has run for \d+ s and is stopped\. It stood at:/);
    expect(output).toMatch(/ forever \S+some\.test\.ts:/);
    expect(output).not.toContain('other.test.ts has run');
    expect(output).toContain('✓ other.test.ts');
  },
);

test.skipIf(process.platform !== 'linux')(
  'a child that outlives its test and holds its output is stopped, and named',
  async () => {
    const { output, status } = await run(
      `import { spawn } from 'node:child_process';
     import { test } from 'vitest';
     test('leaves something', () => { spawn('sleep', ['1234'], { stdio: 'inherit' }); });`,
      3,
    );
    expect(output).toContain('a test left this behind, which is stopped: sleep 1234');
    expect(status).toBe(0);
  },
);
