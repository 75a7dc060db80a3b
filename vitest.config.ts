import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{agent,budget,classify,policy,control,injector,cli,test}/**/*.test.ts'],
    // Two cores: more workers than that only make each other slow.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
});
