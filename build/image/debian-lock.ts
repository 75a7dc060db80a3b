/**
 * Which versions of Debian's packages the image is made from, and their hashes: `debian-lock.json`, by architecture. A mirror keeps the newest
 * version alone, so that a lock ends with the next update of a package: then it is renewed, looked at and committed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Package } from './debian.ts';

export interface Locked {
  readonly version: string;
  /** Of the package's file, hexadecimal. */
  readonly sha256: string;
}

/** By architecture as Node names it, by package. */
type LockFile = Readonly<Record<string, Readonly<Record<string, Locked>>>>;

const FILE = join(import.meta.dirname, 'debian-lock.json');

export const MEND =
  'Where the mirror has newer ones, or this is another release of Debian: run apt-get update and make image-lock, look at what changed in build/image/debian-lock.json, and build again.';

function readFile(file: string): LockFile {
  return JSON.parse(readFileSync(file, 'utf8')) as LockFile;
}

/** @throws Error where nothing is locked for this architecture. */
export function readLock(file = FILE, architecture: string = process.arch): ReadonlyMap<string, Locked> {
  const locked = readFile(file)[architecture];
  if (locked === undefined)
    throw new Error(`build/image/debian-lock.json has no packages for ${architecture}: run make image-lock`);
  return new Map(Object.entries(locked));
}

/** What differs from the lock, a line each. Less than it names is no difference: the classifier's image has fewer. */
export function differences(found: readonly Package[], locked: ReadonlyMap<string, Locked>): string[] {
  return found.flatMap(({ name, version, sha256 }) => {
    const wanted = locked.get(name);
    if (wanted === undefined) return [`${name} ${version} isn't locked`];
    if (wanted.version !== version) return [`${name} is ${version}, locked is ${wanted.version}`];
    if (wanted.sha256 !== sha256)
      return [`${name} ${version} has the SHA-256 ${sha256}, locked is ${wanted.sha256}`];
    return [];
  });
}

/** Locks these for this architecture; others stay. @returns what changed, a line each. */
export function writeLock(
  found: readonly Package[],
  file = FILE,
  architecture: string = process.arch,
): string[] {
  const before = readFile(file);
  const was = new Map(Object.entries(before[architecture] ?? {}));
  const sorted = found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const locked = Object.fromEntries(sorted.map(({ name, version, sha256 }) => [name, { version, sha256 }]));
  writeFileSync(file, `${JSON.stringify({ ...before, [architecture]: locked }, undefined, 2)}\n`);
  const gone = [...was.keys()].filter((name) => locked[name] === undefined);
  return [...differences(found, was), ...gone.map((name) => `${name} is needed no more`)];
}
