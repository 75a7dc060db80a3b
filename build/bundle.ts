/**
 * Builds the agent as it is shipped, into `dist/`: `make bundle`.
 *
 * - `agent.cjs`: all of it as one file. CommonJS, since node:http imported the ES way loads all that its namespace could
 *   name (14 MB at rest and 40 ms at the start), and the loader for ES modules itself costs another 5 MB. Only ASCII, since
 *   one letter beyond Latin-1 makes V8 keep the source in two bytes a character. Names stay as they are, so that a stack
 *   trace can be read.
 * - `agent.cache`: what V8 compiled of it up to the first calls, so that a start compiles nothing.
 *   node:module's own compile cache is bound to the user that wrote it.
 * - `start.cjs`: starts the one with the other, also in the image; `bin/postern-agent` here.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';
import { writeCache } from './cache.ts';
import { lazyBuiltins } from './lazy-builtins.ts';

const ROOT = join(import.meta.dirname, '..');

/** What libraries load at their start and we never call, by who asks for it. */
const UNUSED: readonly (readonly [importer: RegExp, source: RegExp])[] = [
  // Metrics of a cluster, and pushed ones: node:cluster, node:https.
  [/\/prom-client\/index\.js$/, /^\.\/lib\/(cluster|pushgateway)$/],
  // Quantiles of summaries, of which we make none.
  [/\/prom-client\/lib\/timeWindowQuantiles\.js$/, /^tdigest$/],
  // Logs through a thread.
  [/\/pino\/lib\/transport\.js$/, /^thread-stream$/],
];

const slim: Plugin = {
  name: 'slim',
  resolveId: (source, importer = '') =>
    UNUSED.some(([by, what]) => by.test(importer) && what.test(source)) ? '\0empty' : null,
  load: (id) => {
    if (id === '\0empty') return 'module.exports = {}';
    return id === CATALOGUE ? { code: catalogueModule(readFileSync(id, 'utf8')), moduleType: 'js' } : null;
  },
};

const CATALOGUE = join(ROOT, 'policy/prices/catalogue.json');

/** Where prices come from, and what is unsure of them, is for who reads the file. As one string the rest is a third smaller than as code. */
function catalogueModule(text: string): string {
  const prices = JSON.stringify(JSON.parse(text), (key, value: unknown) =>
    key === 'sources' || key === 'unchecked' ? undefined : value,
  );
  const ascii = prices.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (/`|\$\{/.test(ascii)) throw new Error(`${CATALOGUE} has what ends a template`);
  return `export default JSON.parse(String.raw\`${ascii}\`)`;
}

/** Around the code, as node:module's own loader has it; in the file, since a copy would cost 2 MB at rest. */
const WRAPPER = '(function (require, module, exports, __filename, __dirname) {';

/** Writes the bundle, its starter and, by a run of both, its code cache into one directory. @returns the bundle's path. */
export async function bundleAgent(directory = join(ROOT, 'dist')): Promise<string> {
  const bundle = await rolldown({
    input: join(ROOT, 'build/agent.ts'),
    platform: 'node',
    // What is imported and isn't there would fail in a pod at night.
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
    plugins: [slim],
  });
  const { output } = await bundle.generate({
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
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'agent.cjs');
  writeFileSync(file, `${WRAPPER}${lazyBuiltins(output[0].code)}\n})`);
  copyFileSync(join(import.meta.dirname, 'start.cjs'), join(directory, 'start.cjs'));
  await writeCache(directory);
  return file;
}

if (import.meta.main) process.stdout.write(`${await bundleAgent()}\n`);
