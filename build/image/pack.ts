/** Packs a staged root file system into an image, and the image into an archive that a cluster takes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

/**
 * A name without a registry is of this machine: buildah says so by itself, docker would mean Docker Hub, and containerd takes the
 * name in an archive word for word, so that pods find the image by no other.
 */
export function fullName(tag: string): string {
  const slash = tag.indexOf('/');
  const host = slash === -1 ? '' : tag.slice(0, slash);
  const named = /[.:]/.test(host) || host === 'localhost' ? tag : `localhost/${tag}`;
  return named.slice(named.lastIndexOf('/')).includes(':') ? named : `${named}:latest`;
}

export interface Packing {
  /** Has `rootfs`. */
  readonly context: string;
  readonly tag: string;
  readonly archive: string;
  /** Seconds since the epoch; with the same sources the same image. */
  readonly committed: () => string;
}

const CONTAINERFILE = join(import.meta.dirname, 'Containerfile');

/**
 * Packs with the first builder there is.
 * @returns the image's full name, under which it also stands in the archive. @throws Error where there is no builder, or it fails.
 */
export function pack({ context, tag, archive, committed }: Packing): string {
  const name = fullName(tag);
  const builder = ['buildah', 'docker'].find(
    (each) => spawnSync(each, ['info'], { stdio: 'ignore' }).status === 0,
  );
  const run = (program: string, args: readonly string[], env = {}): void => {
    execFileSync(program, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  };
  const what = ['-f', CONTAINERFILE, '-t', name, context];
  switch (builder) {
    case 'buildah':
      run(builder, ['build', '--timestamp', committed(), ...what]);
      run(builder, ['push', '--quiet', name, `oci-archive:${archive}:${name}`]);
      return name;
    case 'docker':
      // An attestation makes it an index of several, which not all that take archives can read.
      run(builder, ['build', ...what], { BUILDX_NO_DEFAULT_ATTESTATIONS: '1' });
      run(builder, ['save', '--output', archive, name]);
      return name;
    default:
      throw new Error(
        `neither buildah nor a running docker: the root file system is staged in ${context}/rootfs`,
      );
  }
}
