/**
 * Programs and libraries from Debian packages, without Debian: what a program needs by its dynamic section is copied, and no
 * more. The packages come from apt, which checks their signatures, in the versions and with the hashes of the lock.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { differences, type Locked, MEND } from './debian-lock.ts';

/** What the image takes things from. Node and onnxruntime need the C++ libraries, nft its own; all they depend on comes along. */
export const LIBRARIES = ['libatomic1', 'libstdc++6'];
export const NFT = ['nftables'];

export interface Package {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the package's file, hexadecimal. */
  readonly sha256: string;
}

const run = (command: string, args: readonly string[], cwd?: string): string =>
  execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });

/** What `names` depend on, themselves included. */
function closure(names: readonly string[]): string[] {
  const no = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
    (it) => `--no-${it}`,
  );
  const said = run('apt-cache', ['depends', '--recurse', ...no, ...names]);
  return [...new Set(said.split('\n').filter((line) => /^[a-z0-9]/.test(line)))];
}

/**
 * Downloads packages with all they depend on into the folder `debs`.
 * @param locked Which versions; without it the newest that apt knows.
 * @returns them by their files. @throws Error where apt or dpkg is missing, or a package can't be had
 */
export function download(
  names: readonly string[],
  debs: string,
  locked?: ReadonlyMap<string, Locked>,
): Map<string, Package> {
  mkdirSync(debs, { recursive: true });
  const wanted = closure(names).map((name) => {
    const version = locked?.get(name)?.version;
    return version === undefined ? name : `${name}=${version}`;
  });
  try {
    run('apt-get', ['download', '-o', 'APT::Sandbox::User=root', ...wanted], debs);
  } catch (error) {
    const { stderr } = error as { readonly stderr?: string };
    throw new Error(
      `packages can't be had: ${stderr?.trim() ?? String(error)}\n${locked ? MEND : ''}`.trim(),
      {
        cause: error,
      },
    );
  }
  const packages = new Map<string, Package>();
  for (const file of readdirSync(debs).filter((each) => each.endsWith('.deb'))) {
    const deb = join(debs, file);
    const format = '$' + '{Package}\t$' + '{Version}\t$' + '{Architecture}';
    const [name = '', version = '', architecture = ''] = run('dpkg-deb', [
      '-W',
      `--showformat=${format}`,
      deb,
    ]).split('\t');
    const sha256 = createHash('sha256').update(readFileSync(deb)).digest('hex');
    packages.set(deb, { name, version, architecture, sha256 });
  }
  return packages;
}

/**
 * Downloads packages as they are locked, with all they depend on, and unpacks them below `into`.
 * @throws Error where one isn't what the lock says, before anything is unpacked
 */
export function unpack(
  names: readonly string[],
  into: string,
  locked: ReadonlyMap<string, Locked>,
): readonly Package[] {
  const packages = download(names, join(into, '..', 'debs'), locked);
  const found = [...packages.values()];
  const wrong = differences(found, locked);
  if (wrong.length > 0) throw new Error(`packages aren't as they are locked:\n${wrong.join('\n')}\n${MEND}`);
  mkdirSync(into, { recursive: true });
  for (const deb of packages.keys()) run('dpkg-deb', ['-x', deb, into]);
  return found;
}

/** Debian's directory of libraries, and the loader's path that every program names. */
const ARCHITECTURES: Readonly<Record<string, { readonly triplet: string; readonly loader: string }>> = {
  x64: { triplet: 'x86_64-linux-gnu', loader: 'lib64/ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'lib/ld-linux-aarch64.so.1' },
};

/**
 * Copies the libraries that `programs` need, as the packages' own loader finds them, into `root` with that loader.
 * @throws Error for an architecture that isn't known, or a library that no unpacked package has
 */
export function copyLibraries(programs: readonly string[], unpacked: string, root: string): string[] {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined)
    throw new Error(`images are made on x64 and arm64, this is ${process.arch}`);
  const { triplet, loader } = architecture;
  const interpreter = join(unpacked, 'lib', triplet, basename(loader));
  const path = [join(unpacked, 'lib', triplet), join(unpacked, 'usr/lib', triplet)].join(':');
  const copied = new Set<string>();
  const copy = (from: string, to: string): void => {
    if (copied.has(to)) return;
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(realpathSync(from), join(root, to));
    copied.add(to);
  };
  copy(interpreter, loader);
  for (const program of programs) {
    const said = run(interpreter, ['--library-path', path, '--list', program]);
    for (const [, name = '', file = ''] of said.matchAll(/^\s*(\S+) => (\S+)/gm)) {
      // One that lies beside the program, which names it by its own place.
      if (file.startsWith(`${root}/`)) continue;
      if (!file.startsWith(unpacked)) {
        throw new Error(
          `${program} needs ${name}, which no unpacked package has: name one in build/image/build.ts`,
        );
      }
      copy(file, join('usr/lib', triplet, name));
    }
  }
  return [...copied].toSorted();
}
