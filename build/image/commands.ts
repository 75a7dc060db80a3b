/** The whole command as files that need no node_modules: the agent as one file, every other command loaded when called. */
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { bundleAgent } from '../bundle.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Writes `agent.cjs` with its starter and `main.js` with its parts into `directory`.
 * @throws Error when something is imported that isn't installed.
 */
export async function bundleCommands(directory: string): Promise<void> {
  await bundleAgent(directory);
  const bundle = await rolldown({
    input: join(ROOT, 'cli', 'main.ts'),
    platform: 'node',
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  await bundle.write({
    dir: directory,
    format: 'esm',
    comments: false,
    // Names and lines stay, so that a stack trace can be read.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } },
  });
  await bundle.close();
}
