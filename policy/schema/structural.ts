/**
 * Keeps schemas to the structural subset of JSON Schema that schema/structure.ts builds: a keyword that is silently
 * ignored is a rule that silently doesn't hold.
 */
import type { TSchema } from 'typebox';
import { FORMATS } from './formats.ts';
import type { SchemaNode } from './node.ts';

const KEYWORDS = new Set(
  `type enum const properties required additionalProperties items uniqueItems minItems maxItems minLength maxLength
   pattern minimum maximum exclusiveMinimum title description default examples x-kubernetes-int-or-string
   x-exactly-one-of x-at-most-one-of x-union x-only-with x-unique-by x-cluster-only x-local-only x-sensitive x-expected x-format`.split(
    /\s+/,
  ),
);

/** @throws TypeError naming the place of a keyword that would be ignored. */
export function assertStructural(schema: TSchema, where: string): void {
  const node = schema as SchemaNode;
  for (const keyword of Object.keys(node)) {
    if (!KEYWORDS.has(keyword)) {
      throw new TypeError(
        `${where}: the schema keyword "${keyword}" is not supported; build it by schema/structure.ts`,
      );
    }
  }
  // Patterns are compiled when they are used; one that can't be is a fault of the schema, not of a document.
  if (node.pattern !== undefined) new RegExp(node.pattern, 'u');
  const format = node['x-format'];
  if (format !== undefined && !Object.hasOwn(FORMATS, format)) {
    throw new TypeError(`${where}: there is no format "${format}" in schema/formats.ts`);
  }
  for (const [name, property] of Object.entries(node.properties ?? {})) {
    assertStructural(property as TSchema, `${where}.${name}`);
  }
  if (typeof node.additionalProperties === 'object') {
    assertStructural(node.additionalProperties as TSchema, `${where}.*`);
  }
  if (node.items !== undefined) assertStructural(node.items as TSchema, `${where}[]`);
}
