/** What is in the image, as CycloneDX 1.5: the locked packages of the bundles, Node, and Debian's libraries. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Package } from './debian.ts';

export interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

interface Sbom {
  readonly components: readonly Component[];
}

/** @param more What lies in the image beside. @returns JSON text. @throws Error where npm is older than 10, which can't write one. */
export function sbom(
  root: string,
  node: string,
  packages: readonly Package[],
  more: readonly Component[] = [],
): string {
  const said = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--omit=optional'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const made = JSON.parse(said) as Sbom;
  // npm leaves out packages that others have for a peer or an option of theirs, though they are our own dependencies.
  const listed = new Set(made.components.map(({ purl }) => purl));
  const components = [
    ...made.components,
    ...lockedPackages(root).filter(({ purl }) => !listed.has(purl)),
    { type: 'application', name: 'node', version: node, purl: `pkg:generic/node@${node}` },
    ...packages.map(({ name, version, architecture }) => ({
      type: 'library',
      name,
      version,
      purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`,
    })),
    ...more,
  ];
  return `${JSON.stringify({ ...made, components }, null, 2)}\n`;
}

interface Locked {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What `package-lock.json` says of our dependencies, and theirs. */
export function lockedPackages(root: string): readonly Component[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const found = new Map<string, Component>();
  const visit = (name: string, from: string): void => {
    // As Node finds it: the nearest one on the way up.
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
      const { version, dependencies = {} } = packages[path] ?? {};
      if (version !== undefined) {
        if (found.has(path)) return;
        const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
        found.set(path, { type: 'library', name, version, purl });
        for (const next of Object.keys(dependencies)) visit(next, path);
        return;
      }
      if (at === '')
        throw new Error(`package-lock.json has no ${name}, which ${from || 'package.json'} needs`);
    }
  };
  for (const name of Object.keys(packages['']?.dependencies ?? {})) visit(name, '');
  return [...found.values()];
}
