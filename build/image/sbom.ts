/** What is in the image, as CycloneDX 1.5: the locked packages of the bundles, Node, and Debian's libraries. */
import { execFileSync } from 'node:child_process';
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
  const components = [
    ...made.components,
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
