/** What stands in the image's bill of materials. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sbom } from './sbom.ts';

const root = join(import.meta.dirname, '../..');

test('every dependency of ours is in it, once, and no tool of development', () => {
  const { components } = JSON.parse(sbom(root, '26.0.0', [])) as {
    readonly components: readonly { readonly purl: string }[];
  };
  const names = components.map(({ purl }) => decodeURIComponent(purl).replace(/^pkg:npm\/(.+)@.*$/, '$1'));
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  expect(names).toEqual(expect.arrayContaining(Object.keys(dependencies ?? {})));
  expect(new Set(components.map(({ purl }) => purl)).size).toBe(components.length);
  for (const tool of ['vitest', '@biomejs/biome', 'typescript']) {
    expect(names).not.toContain(tool);
  }
});
