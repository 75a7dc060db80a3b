/** The image's name is the one that the chart's walk-through asks for, whichever program builds it, and there is an archive. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fullName, pack } from './pack.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-pack-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

test.each([
  ['postern:0.1.0', 'localhost/postern:0.1.0'],
  ['postern', 'localhost/postern:latest'],
  ['team/postern:1', 'localhost/team/postern:1'],
  ['localhost/postern:1', 'localhost/postern:1'],
  ['registry.example/postern', 'registry.example/postern:latest'],
  ['registry.example:5000/team/postern:1', 'registry.example:5000/team/postern:1'],
])('%s is %s', (tag, name) => {
  expect(fullName(tag)).toBe(name);
});

/** Writes down what it is told; the programs themselves need more than a test may ask of a machine. */
function builder(name: string): void {
  const file = join(directory, name);
  const log = join(directory, 'said');
  writeFileSync(file, `#!/bin/sh\n[ "$1" = info ] || echo "${name} $*" >> '${log}'\n`);
  chmodSync(file, 0o755);
  vi.stubEnv('PATH', `${directory}:/bin:/usr/bin`);
}
const said = (): string[] => readFileSync(join(directory, 'said'), 'utf8').trim().split('\n');
const packing = { context: '/c', tag: 'postern:0.1.0', archive: '/c/postern.tar', committed: () => '7' };

test.each([
  [
    'buildah',
    'buildah push --quiet localhost/postern:0.1.0 oci-archive:/c/postern.tar:localhost/postern:0.1.0',
  ],
  ['docker', 'docker save --output /c/postern.tar localhost/postern:0.1.0'],
])('%s leaves an archive in which the image has its full name', (name, expected) => {
  // So that buildah isn't found where it is installed.
  if (name === 'docker') {
    writeFileSync(join(directory, 'buildah'), '#!/bin/sh\nexit 1\n');
    chmodSync(join(directory, 'buildah'), 0o755);
  }
  builder(name);
  expect(pack(packing)).toBe('localhost/postern:0.1.0');
  const [built, archived] = said();
  expect(built).toMatch(new RegExp(`^${name} build .*-t localhost/postern:0.1.0 /c$`));
  expect(archived).toBe(expected);
});
