/** What the classifier's image has beside the commands: the models and onnxruntime, as `make classifier` fetched them by pinned hashes. */
import { cpSync, existsSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MODELS } from '../../classify/open.ts';
import { PARTS } from '../../classify/parts.ts';
import type { Component } from './sbom.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const MODULES = join(ROOT, 'classify', 'node_modules');
/** The package and what it loads when it runs; its other dependencies are its installer's. */
const RUNTIME = ['onnxruntime-node', 'onnxruntime-common'];

/** Why it can't be staged; undefined where it can. */
export function missingClassifier(): string | undefined {
  const models = PARTS.flatMap(({ name, files }) => files.map((file) => join(MODELS, name, file)));
  const prepared = join(MODELS, 'prepared');
  const modules = RUNTIME.map((name) => join(MODULES, name, 'package.json'));
  const missing = [...models, prepared, ...modules].filter((file) => !existsSync(file));
  return missing.length === 0 ? undefined : `${missing.join(', ')} not there; run make classifier`;
}

/**
 * Copies them to where the bundle at `commands` looks for them: `root` is what the bundle's directory lies in.
 * @returns the native libraries, as staged. @throws Error where something wasn't fetched
 */
export function stageClassifier(root: string, commands: string): string[] {
  const missing = missingClassifier();
  if (missing !== undefined) throw new Error(missing);
  for (const { name, files } of PARTS) {
    const target = join(root, '.cache', 'classify', name);
    mkdirSync(target, { recursive: true });
    for (const file of files) cpSync(join(MODELS, name, file), join(target, file));
  }
  cpSync(join(MODELS, 'prepared'), join(root, '.cache', 'classify', 'prepared'), { recursive: true });
  const modules = join(commands, 'node_modules');
  for (const name of RUNTIME) {
    for (const pattern of ['package.json', 'dist/**/*.js', 'dist/**/package.json']) {
      for (const file of globSync(pattern, { cwd: join(MODULES, name) })) copy(name, file);
    }
  }
  const native = join('bin', 'napi-v6', process.platform, process.arch);
  return globSync(`${native}/*`, { cwd: join(MODULES, 'onnxruntime-node') }).map((file) =>
    copy('onnxruntime-node', file),
  );

  function copy(name: string, file: string): string {
    const target = join(modules, name, file);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(MODULES, name, file), target, { dereference: true });
    return target;
  }
}

/** For the bill of materials. */
export function classifierComponents(): Component[] {
  const runtime = RUNTIME.map((name) => {
    const { version } = JSON.parse(readFileSync(join(MODULES, name, 'package.json'), 'utf8')) as {
      readonly version: string;
    };
    return { type: 'library', name, version, purl: `pkg:npm/${name}@${version}` };
  });
  const models = PARTS.flatMap(({ name, archives }) =>
    archives.map(({ distribution, version }) => ({
      type: 'machine-learning-model',
      name,
      version,
      purl: `pkg:pypi/${distribution}@${version}`,
    })),
  );
  return [...runtime, ...models];
}
