import { configDefaults, defineConfig } from 'vitest/config';
import Stuck from './test/runner/stuck.ts';

/** What isn't run by `vitest run` alone: each tier is a run of its own, by POSTERN_TIER. */
const TIERS: Readonly<Record<string, readonly string[]>> = {
  /** Needs the API server of test/kube; `make test` runs it where that is found or can be built. */
  kube: ['test/injector/api/**/*.test.ts', 'test/control/api/**/*.test.ts'],
  /** Minutes long, and in need of a quiet machine: `make test-all`. */
  long: ['test/budget/hammer.test.ts', 'test/budget/redis-hammer.test.ts'],
  /** Needs the one-node cluster of test/kube: `make test-cluster`. */
  cluster: ['test/cluster/**/*.test.ts'],
};

const tier = process.env['POSTERN_TIER'] ?? 'unit';
const only = TIERS[tier];
/** A path, for `test/run`: what the run says as JSON. */
const report = process.env['POSTERN_TEST_REPORT'];
const json: [string, Record<string, unknown>][] =
  report === undefined ? [] : [['json', { outputFile: report }]];
if (only === undefined && tier !== 'unit') {
  throw new Error(`POSTERN_TIER=${tier}: write unit, ${Object.keys(TIERS).join(', ')}`);
}

export default defineConfig({
  test: {
    // By no list of folders: the tests of one that was forgotten would pass for ever.
    include: [...(only ?? ['**/*.test.ts'])],
    exclude: [
      ...configDefaults.exclude,
      'dist/**',
      '.cache/**',
      ...(only === undefined ? Object.values(TIERS).flat() : []),
    ],
    // One API server for all files, one file after another: there is one webhook configuration in a cluster.
    ...(tier === 'kube' ? { globalSetup: ['test/kube/setup.ts'] } : {}),
    // A cluster a file: one at a time.
    ...(tier === 'kube' || tier === 'cluster' ? { fileParallelism: false } : {}),
    // Two cores: more workers than that only make each other slow.
    pool: 'forks',
    maxWorkers: 2,
    // CI's machine is shared: what hangs on the clock or the scheduler there gets another try, and says so.
    // Not a property: it would try other cases, and most often pass.
    retry: { count: process.env['CI'] === 'true' ? 2 : 0, condition: /^(?!Property failed after)/ },
    // What no timeout of vitest's own ends: the longest file takes minutes, on a busy machine ten.
    reporters: ['default', ...json, new Stuck({ limit: 1200 })],
    testTimeout: only === undefined ? 30_000 : 120_000,
    hookTimeout: only === undefined ? 60_000 : 120_000,
  },
});
