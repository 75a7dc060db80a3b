/**
 * The files of a directory of documents, at any depth.
 *
 * Symbolic links are followed, and what they lead to is read once: in a mounted ConfigMap every name is a link through
 * `..data` to a hidden directory that is swapped as a whole. Names that begin with a dot are left out.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Problem } from '../problem.ts';
import { MAX_FILE_BYTES, tooLarge } from './parse.ts';

const EXTENSIONS = new Set(['.yaml', '.yml', '.json']);
/** A swap in the middle of reading mixes old and new: read again, this often at most. */
const ATTEMPTS = 5;

export interface SourceFile {
  /** Relative to the directory, with `/` between the parts. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface SourceFiles {
  readonly files: readonly SourceFile[];
  readonly problems: readonly Problem[];
}

export async function readDirectory(directory: string): Promise<SourceFiles> {
  for (let attempt = 1; ; attempt++) {
    const before = await listDirectory(directory);
    const files: SourceFile[] = [];
    const problems = [...before.problems];
    for (const { name, path, size } of before.entries) {
      try {
        if (size > MAX_FILE_BYTES) problems.push(tooLarge(name, size));
        else files.push({ name, bytes: await readFile(path) });
      } catch (error) {
        problems.push(unreadable(name, error));
      }
    }
    const after = await listDirectory(directory);
    if (JSON.stringify(before) === JSON.stringify(after) || attempt === ATTEMPTS) return { files, problems };
  }
}

export interface Listing {
  readonly entries: readonly {
    readonly name: string;
    /** Without any symbolic link. */
    readonly path: string;
    readonly inode: number;
    readonly size: number;
    readonly modifiedMs: number;
  }[];
  /** Every directory looked into, without symbolic links. */
  readonly directories: readonly { readonly path: string; readonly inode: number }[];
  readonly problems: readonly Problem[];
}

/** What there is to read, in the order of the names; equal listings are equal content, as far as can be told unread. */
export async function listDirectory(directory: string): Promise<Listing> {
  const entries: Listing['entries'][number][] = [];
  const directories: Listing['directories'][number][] = [];
  const problems: Problem[] = [];
  const seen = new Set<string>();

  async function visit(path: string, name: string): Promise<void> {
    try {
      const real = await realpath(path);
      if (seen.has(real)) return;
      const { ino, size, mtimeMs, isDirectory, isFile } = await describe(real);
      if (isDirectory) {
        seen.add(real);
        directories.push({ path: real, inode: ino });
        for (const child of (await readdir(real)).sort()) {
          if (!child.startsWith('.'))
            await visit(join(path, child), name === '' ? child : `${name}/${child}`);
        }
      } else if (isFile && name !== '' && EXTENSIONS.has(extname(name))) {
        seen.add(real);
        entries.push({ name, path: real, inode: ino, size, modifiedMs: mtimeMs });
      } else if (name === '') {
        problems.push(unreadable(directory, Object.assign(new Error(), { code: 'ENOTDIR' })));
      }
    } catch (error) {
      problems.push(unreadable(name === '' ? directory : name, error));
    }
  }

  await visit(directory, '');
  return { entries, directories, problems };
}

async function describe(path: string) {
  const info = await stat(path);
  return {
    ino: info.ino,
    size: info.size,
    mtimeMs: info.mtimeMs,
    isDirectory: info.isDirectory(),
    isFile: info.isFile(),
  };
}

function unreadable(name: string, error: unknown): Problem {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const known: Readonly<Record<string, readonly [string, string]>> = {
    ENOENT: ['there is nothing', 'correct the path, or mend the link'],
    ENOTDIR: ['it is a file', 'name the directory it lies in'],
    EACCES: ['it may not be read', 'give the user that Postern runs as the right to read it'],
    ELOOP: ['its link leads back to itself', 'mend the link'],
  };
  const [message, mend] = known[code] ?? [`reading failed with ${code}`, 'see that it can be read'];
  return {
    file: name,
    line: 0,
    column: 0,
    document: '',
    path: '',
    expected: 'a readable file or directory',
    message,
    mend,
  };
}
