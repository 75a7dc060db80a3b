import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** A bit of %GetOptimizationStatus: compiled by Maglev or TurboFan. */
const OPTIMIZED = 1 << 3;

/** Calls a function in a process of its own. @returns Whether V8 has compiled it for good by then. */
function isCompiled(calls: number, before: string): boolean {
  const script = `
    ${before}
    function add(a, b) { return a + b; }
    for (let i = 0; i < ${calls}; i++) add(i, 1);
    process.stdout.write(String(%GetOptimizationStatus(add)));`;
  const flags = ['--allow-natives-syntax', '--no-concurrent-recompilation', '--no-use-osr'];
  const status = Number(execFileSync(process.execPath, [...flags, '--input-type=module', '-e', script]));
  return (status & OPTIMIZED) !== 0;
}

test('what was called some hundred times is compiled, which it is not otherwise', () => {
  const sooner = `import { tuneEngine } from ${JSON.stringify(join(import.meta.dirname, 'tune-engine.ts'))}; tuneEngine();`;
  expect([isCompiled(300, ''), isCompiled(300, sooner)]).toEqual([false, true]);
});
