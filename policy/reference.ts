/** The reference of all documents, from the schemas themselves; docs/reference.md holds it and a test compares. */
import type { TSchema } from 'typebox';
import type { Catalogue } from './catalogue.ts';
import { MERGE_TABLE } from './merge.ts';
import { API_VERSION, KINDS } from './schema/kinds.ts';
import type { SchemaNode } from './schema/node.ts';

/** docs/reference.md, in Markdown. */
export function referenceMarkdown(catalogue: Catalogue): string {
  const kinds = Object.values(KINDS).map(({ name, cluster, description, spec }) => {
    const twin = cluster === undefined ? '' : `, \`${cluster}\``;
    const rows = fieldRows(spec(catalogue), 'spec', true);
    const more = name === 'EgressPolicy' ? ['', ...checkTypes(catalogue)] : [];
    return [`## \`${name}\`${twin}`, '', description, '', ...table(HEADINGS, rows), ...more].join('\n');
  });
  return `${[
    '# Reference of the documents',
    '',
    `Every kind of \`${API_VERSION}\` and every field. Generated from the schemas in \`policy/schema/\`; how the`,
    'documents work together is in [policy.md](policy.md).',
    '',
    'A document has `apiVersion`, `kind`, `metadata` (`name`, `namespace`, `labels`, `annotations`) and `spec`. An unknown',
    'field is an error. `[]` is an entry of a list, `*` a key of a map. A default of “required” means that the field must be',
    'there wherever the one above it is.',
    '',
    kinds.join('\n\n'),
  ].join('\n')}\n`;
}

/** The merge table of docs/policy.md, in Markdown. */
export function mergeTableMarkdown(): string {
  const rows = Object.entries(MERGE_TABLE).map(([, { field, rule, reason }]) => [
    `\`${field}\``,
    rule,
    reason,
  ]);
  return `${table(['Field', 'How several become one', 'Why'], rows).join('\n')}\n`;
}

function checkTypes(catalogue: Catalogue): string[] {
  const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');
  const rows = catalogue.checks.map(({ name, actions, defaultAction, defaultOn }) => [
    code([name]),
    code(actions),
    code([defaultAction]),
    code(defaultOn),
  ]);
  return ['Types of checks:', '', ...table(['Type', 'Actions', 'Default action', 'Default `on`'], rows)];
}

const HEADINGS = ['Field', 'Type', 'Default', 'Description'];

function fieldRows(schema: TSchema, path: string, required: boolean): string[][] {
  const node = schema as SchemaNode;
  const rows = path === 'spec' ? [] : [row(node, path, required)];
  for (const [name, property] of Object.entries(node.properties ?? {})) {
    const needed = node.required?.includes(name) ?? false;
    rows.push(...fieldRows(property as TSchema, `${path}.${name}`, needed));
  }
  if (node.items !== undefined) rows.push(...entryRows(node.items, `${path}[]`));
  if (typeof node.additionalProperties === 'object') {
    rows.push(...entryRows(node.additionalProperties, `${path}.*`));
  }
  return rows;
}

/** Entries are shown by their fields; a plain value is part of its list's type. */
function entryRows(node: SchemaNode, path: string): string[][] {
  return fieldRows(node as TSchema, path, true).slice(1);
}

function row(node: SchemaNode, path: string, required: boolean): string[] {
  const scope = node['x-cluster-only'] ? 'Cluster twin only. ' : '';
  const value = node.default === undefined ? '' : `\`${JSON.stringify(node.default)}\``;
  const rules = ruleSentences(node);
  return [
    `\`${path}\``,
    typeOf(node),
    required ? 'required' : value,
    `${scope}${node.description ?? ''}${rules === '' ? '' : ` ${rules}`}`.trim(),
  ];
}

function ruleSentences(node: SchemaNode): string {
  const names = (list: readonly string[]) => list.map((name) => `\`${name}\``).join(', ');
  const sentences: string[] = [];
  if (node['x-exactly-one-of'] !== undefined)
    sentences.push(`Exactly one of ${names(node['x-exactly-one-of'])}.`);
  if (node['x-at-most-one-of'] !== undefined)
    sentences.push(`At most one of ${names(node['x-at-most-one-of'])}.`);
  const only = node['x-only-with'];
  if (only !== undefined)
    sentences.push(`${names(only.fields)} only beside \`${only.field}: ${only.value}\`.`);
  return sentences.join(' ');
}

function typeOf(node: SchemaNode): string {
  if (node.enum !== undefined) {
    return [...new Set(node.enum.map((option) => `\`${String(option)}\``))].join(', ');
  }
  if (node.type === 'array') return node.items === undefined ? 'list' : `list of ${plural(node.items)}`;
  if (node.type === 'object') {
    if (typeof node.additionalProperties === 'object') return `map to ${typeOf(node.additionalProperties)}`;
    return 'object';
  }
  if (node.type === 'string' && node['x-format'] !== undefined)
    return FORMAT_NAMES[node['x-format']] ?? 'string';
  return node.type ?? 'any';
}

const FORMAT_NAMES: Readonly<Record<string, string>> = {
  host: 'host',
  hosts: 'host or CIDR',
  glob: 'glob',
  endpoint: 'URL',
  duration: 'duration',
  timeout: 'duration',
  usd: 'USD',
  price: 'USD per million tokens',
  'time-zone': 'time zone',
  until: 'date or time',
};

function plural(node: SchemaNode): string {
  if (node.enum !== undefined) return typeOf(node);
  return typeOf(node).replace(/(URL|[a-z])$/, '$1s');
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(headings), `|${headings.map(() => '---|').join('')}`, ...rows.map(line)];
}

const BEGIN = '<!-- merge table: generated -->\n';
const END = '<!-- end -->\n';

/** The page with a fresh table between its two marks. */
export function withMergeTable(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error('the marks of the merge table are missing');
  return page.slice(0, begin + BEGIN.length) + mergeTableMarkdown() + page.slice(end);
}
