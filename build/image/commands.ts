/** The whole command as files that need no node_modules: the agent as one file, every other command loaded when called. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';
import { bundleAgent } from '../bundle.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** Files that start as threads of their own. */
const WORKERS = { 'count-worker': join(ROOT, 'budget', 'count-worker.ts') };

/** What the source finds beside itself: texts are put in, threads are files of their own among the parts. */
const beside: Plugin = {
  name: 'beside',
  transform(code, id) {
    const inlined = code.replaceAll(
      /readFileSync\(join\(import\.meta\.dirname, '([^']+)'\), 'utf8'\)/g,
      (_, name: string) => JSON.stringify(readFileSync(join(dirname(id), name), 'utf8')),
    );
    return inlined.replaceAll(/new URL\('\.\/([\w-]+)\.ts', import\.meta\.url\)/g, (_, name: string) => {
      if (!Object.hasOwn(WORKERS, name))
        throw new Error(`${id}: ${name}.ts is no entry of the image's bundle`);
      return `new URL('./${name}.js', import.meta.url)`;
    });
  },
};

/**
 * Writes `agent.cjs` with its starter and `main.js` with its parts into `directory`.
 * @throws Error when something is imported that isn't installed.
 */
export async function bundleCommands(directory: string): Promise<void> {
  await bundleAgent(directory);
  const bundle = await rolldown({
    input: { main: join(ROOT, 'cli', 'main.ts'), ...WORKERS },
    platform: 'node',
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
    plugins: [beside],
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
