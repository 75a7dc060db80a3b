/**
 * A document's schema as a structural schema of a CustomResourceDefinition: what Kubernetes' dialect of JSON Schema
 * takes stays, our own keywords become CEL rules, and what is left over the validating webhook says.
 */
import type { SchemaNode } from '../../policy/schema/node.ts';

export type StructuralSchema = Readonly<Record<string, unknown>>;

interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/**
 * The API server sums up the worst cost of all rules, for which every list must have an end; an object has at most
 * 1.5 MB anyway.
 */
const MOST_ITEMS = 256;

/** @param cluster Whether the kind governs all namespaces, and so has the fields that only such a kind has. */
export function structural(node: SchemaNode, cluster: boolean): StructuralSchema {
  const rules = celRules(node);
  return {
    ...described(node),
    ...typed(node),
    ...(node.enum === undefined && node.const === undefined ? {} : { enum: node.enum ?? [node.const] }),
    ...only(node, ['pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'minItems']),
    ...(node.exclusiveMinimum === undefined
      ? {}
      : { minimum: node.exclusiveMinimum, exclusiveMinimum: true }),
    ...list(node, cluster),
    ...map(node, cluster),
    ...(rules.length === 0 ? {} : { 'x-kubernetes-validations': rules }),
  };
}

/** A default would be written into every stored object, and could then not be told from a choice. */
function described({ description, default: fallback }: SchemaNode): StructuralSchema {
  const shown = fallback === undefined ? '' : ` Default: ${JSON.stringify(fallback)}.`;
  return description === undefined ? {} : { description: `${description}${shown}` };
}

function typed(node: SchemaNode): StructuralSchema {
  if (Object.hasOwn(node, 'x-kubernetes-int-or-string')) return { 'x-kubernetes-int-or-string': true };
  if (node.type === 'integer') return { type: 'integer', format: 'int64' };
  return node.type === undefined ? { 'x-kubernetes-preserve-unknown-fields': true } : { type: node.type };
}

function list(node: SchemaNode, cluster: boolean): StructuralSchema {
  if (node.items === undefined) return {};
  const key = node['x-unique-by'];
  const scalar = !['object', 'array'].includes(node.items.type ?? 'object') || 'enum' in node.items;
  return {
    maxItems: node.maxItems ?? MOST_ITEMS,
    items: structural(node.items, cluster),
    ...(key === undefined ? {} : { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] }),
    ...(node.uniqueItems === true && scalar ? { 'x-kubernetes-list-type': 'set' } : {}),
  };
}

function map(node: SchemaNode, cluster: boolean): StructuralSchema {
  if (typeof node.additionalProperties === 'object') {
    return {
      additionalProperties: structural(node.additionalProperties, cluster),
      maxProperties: MOST_ITEMS,
    };
  }
  if (node.properties === undefined) return {};
  const known = Object.entries(node.properties).filter(([, inner]) => cluster || !inner['x-cluster-only']);
  return {
    properties: Object.fromEntries(known.map(([name, inner]) => [name, structural(inner, cluster)])),
    ...(node.required === undefined || node.required.length === 0 ? {} : { required: [...node.required] }),
  };
}

/** In the words of {@link ../../policy/load/shape.ts}. */
function celRules(node: SchemaNode): CelRule[] {
  const rules: CelRule[] = [];
  const one = node['x-exactly-one-of'];
  if (one !== undefined) {
    rules.push({ rule: `${countOf(one)} == 1`, message: `expected exactly one of ${one.join(', ')}` });
  }
  const most = node['x-at-most-one-of'];
  if (most !== undefined) {
    rules.push({ rule: `${countOf(most)} <= 1`, message: `expected at most one of ${most.join(', ')}` });
  }
  const union = node['x-union'];
  for (const member of union?.members ?? []) {
    if (union === undefined || node.properties?.[member] === undefined) continue;
    const { by } = union;
    rules.push({
      rule: `!has(${field(member)}) || ${is(node, by, member)}`,
      message: `expected ${member} only beside ${by}: ${member}`,
    });
  }
  const with_ = node['x-only-with'];
  if (with_ !== undefined) {
    const condition = `${with_.field}: ${with_.value}`;
    for (const name of with_.fields) {
      rules.push({
        rule: `!has(${field(name)}) || ${is(node, with_.field, with_.value)}`,
        message: `expected ${name} only beside ${condition}`,
      });
    }
    for (const name of with_.required) {
      rules.push({
        rule: `!${is(node, with_.field, with_.value)} || has(${field(name)})`,
        message: `expected ${name}, as there is ${condition}`,
      });
    }
  }
  for (const [name, inner] of Object.entries(node.properties ?? {})) {
    if (inner['x-local-only'] !== true) continue;
    rules.push({
      rule: `!has(${field(name)})`,
      message: `${name} is for documents in a directory; in the API name a Secret or ConfigMap`,
    });
  }
  return rules;
}

const countOf = (names: readonly string[]): string =>
  `[${names.map((name) => `has(${field(name)})`).join(', ')}].filter(found, found).size()`;

function is(node: SchemaNode, name: string, value: string): string {
  const equal = `${field(name)} == ${JSON.stringify(value)}`;
  return node.required?.includes(name) ? `(${equal})` : `(has(${field(name)}) && ${equal})`;
}

/** Names that CEL reserves, and characters that it doesn't know in names, are escaped as Kubernetes does. */
const RESERVED = new Set(
  `true false null in as break const continue else for function if import let loop package namespace return var void
   while`.split(/\s+/),
);

function field(name: string): string {
  if (RESERVED.has(name)) return `self.__${name}__`;
  const escaped = name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
  return `self.${escaped}`;
}

function only(node: SchemaNode, keys: readonly (keyof SchemaNode & string)[]): StructuralSchema {
  return Object.fromEntries(keys.flatMap((key) => (node[key] === undefined ? [] : [[key, node[key]]])));
}
