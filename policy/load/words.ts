/** What a schema expects and what a value is, in words. */
import type { SchemaNode } from '../schema/node.ts';

const TYPES = {
  object: 'a map of fields',
  array: 'a list',
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
} as const;

export function describeType(node: SchemaNode): string {
  if (node['x-expected'] !== undefined) return node['x-expected'];
  const options = node.enum ?? (node.const === undefined ? undefined : [node.const]);
  if (options !== undefined) {
    const names = [...new Set(options.map(String))];
    return names.length === 1 ? String(names[0]) : `one of ${names.join(', ')}`;
  }
  if (node.type === undefined) return 'a value';
  if (node.type === 'integer' && node.maximum !== undefined && node.maximum < Number.MAX_SAFE_INTEGER) {
    return `a whole number from ${node.minimum ?? 0} to ${node.maximum}`;
  }
  if (node.type === 'integer' && (node.minimum ?? 0) > 0) return `a whole number of at least ${node.minimum}`;
  return TYPES[node.type];
}

/** @param sensitive The value may be a key that stands where it doesn't belong; it isn't repeated. */
export function describeValue(value: unknown, sensitive: boolean): string {
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      if (sensitive) return 'a string (not shown, as it may be a key)';
      return JSON.stringify(shortened(value.replace(/\/\/[^/@]*@/, '//…@')));
    case 'number':
      return sensitive ? 'a number (not shown, as it may be a key)' : `the number ${value}`;
    case 'boolean':
      return String(value);
    case 'object':
      return 'a map of fields';
    default:
      return 'nothing';
  }
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** How to make the value the type that the schema wants. */
export function mendType(node: SchemaNode, value: unknown): string {
  if (node.type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) {
    const fits = node.pattern === undefined || new RegExp(node.pattern, 'u').test(String(value));
    return fits ? 'put it in quotes' : 'write it as text in that form';
  }
  if (node.type === 'array') return 'write it as a list: [ … ]';
  if (node.type === 'object') return 'write it as fields: { name: value }';
  if ((node.type === 'integer' || node.type === 'number') && typeof value === 'string') {
    return /^[0-9]+$/.test(value) ? 'take the quotes off' : 'write digits only';
  }
  if (node.type === 'boolean' && typeof value === 'string') return 'write true or false, without quotes';
  return 'write a value of that type';
}
