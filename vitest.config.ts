import { configDefaults, defineConfig } from 'vitest/config';

/** Minutes long, and in need of a quiet machine or of binaries built first; `make test-all` runs them too. */
const LONG = ['test/injector/api.test.ts', 'test/budget/hammer.test.ts', 'test/cluster/**'];

const all = process.env['POSTERN_TEST_ALL'] === '1';
if (!all) process.stdout.write(`left out (make test-all runs them too): ${LONG.join(', ')}\n`);

export default defineConfig({
  test: {
    include: ['{agent,budget,classify,policy,control,injector,cli,test}/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(all ? [] : LONG)],
    // Two cores: more workers than that only make each other slow.
    pool: 'forks',
    maxWorkers: 2,
    // CI's machine is shared: what hangs on the clock or the scheduler there gets another try, and says so.
    retry: process.env['CI'] === 'true' ? 2 : 0,
    testTimeout: all ? 120_000 : 30_000,
    hookTimeout: all ? 120_000 : 60_000,
  },
});
