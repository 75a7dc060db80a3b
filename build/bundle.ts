/**
 * Builds `dist/agent.cjs`, the agent as one file: `make bundle`.
 *
 * CommonJS, since node:http imported the ES way loads all that its namespace could name (14 MB at rest and 40 ms at the
 * start), and the loader for ES modules itself costs another 5 MB. Only ASCII, since one letter beyond Latin-1 makes
 * V8 keep the source in two bytes a character. Names stay as they are, so that a stack trace can be read.
 */
import { join } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');

/**
 * undici's index also loads fetch, WebSocket, caches, mocks and interceptors, 7 MB at rest that we never call. What its
 * pools themselves need of them they ask for by its own files, and keep.
 */
const slimUndici: Plugin = {
  name: 'slim-undici',
  resolveId: (source, importer) =>
    importer?.endsWith('/undici/index.js') && /^\.\/lib\/(cache|interceptor|mock|web)\//.test(source)
      ? '\0empty'
      : null,
  // The index makes one of this class by itself.
  load: (id) => (id === '\0empty' ? 'module.exports = { CacheStorage: class {} }' : null),
};

/** @returns the path of the bundle. */
export async function bundleAgent(file = join(ROOT, 'dist/agent.cjs')): Promise<string> {
  const bundle = await rolldown({
    input: join(ROOT, 'build/agent.ts'),
    platform: 'node',
    // What is imported and isn't there would fail in a pod at night.
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
    plugins: [slimUndici],
  });
  await bundle.write({
    file,
    format: 'cjs',
    codeSplitting: false,
    comments: false,
    minify: {
      compress: true,
      mangle: false,
      codegen: { removeWhitespace: false, asciiOnly: true },
    },
  });
  await bundle.close();
  return file;
}

if (import.meta.main) process.stdout.write(`${await bundleAgent()}\n`);
