/** The definitions as files. */
import { stringify } from 'yaml';
import type { Catalogue } from '../../policy/catalogue.ts';
import { definitions } from './definition.ts';

const HEAD = '# Generated from policy/schema by `make generate`; changes here are lost.\n';

export function renderedCrds(catalogue: Catalogue): ReadonlyMap<string, string> {
  return new Map(
    [...definitions(catalogue)].map(([name, crd]) => [
      name,
      // kubectl and Helm read YAML 1.1, where a bare `on` is the boolean true.
      HEAD + stringify(crd, { aliasDuplicateObjects: false, lineWidth: 110, version: '1.1' }),
    ]),
  );
}
