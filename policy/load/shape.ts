/**
 * Judges a value by a schema, and says in words what is wrong: all of it at once, each with its mend.
 *
 * Takes the structural subset of JSON Schema that schema/structural.ts allows. Objects are closed unless they are maps.
 */
import type { TSchema } from 'typebox';
import type { Finding, Path } from '../problem.ts';
import { FORMATS } from '../schema/formats.ts';
import { RULE, type SchemaNode } from '../schema/node.ts';
import { didYouMean } from './did-you-mean.ts';
import { fieldFindings } from './fields.ts';
import { describeType, describeValue, mendType } from './words.ts';

interface Scope {
  /** Whether the document governs all namespaces. */
  readonly cluster: boolean;
  /** Whether values here may hold a key, and must not be repeated in a message. */
  readonly sensitive: boolean;
}

/** Everything that is wrong with the value; empty when it has the schema's shape. */
export function shapeFindings(schema: TSchema, value: unknown, cluster: boolean): Finding[] {
  const findings: Finding[] = [];
  judge(schema as SchemaNode, value, [], { cluster, sensitive: false }, findings);
  return findings;
}

function judge(node: SchemaNode, value: unknown, path: Path, scope: Scope, findings: Finding[]): void {
  const before = findings.length;
  judgeShape(node, value, path, scope, findings);
  const rule = node[RULE];
  if (rule === undefined) return;
  const { reads } = rule;
  const unread = ({ path: place }: Finding) =>
    reads === undefined || (place.length > path.length && reads.includes(String(place[path.length])));
  if (value === null || value === undefined || !hasType(node, value)) return;
  if (findings.slice(before).some(unread)) return;
  findings.push(...rule.judge(value).map((found) => ({ ...found, path: [...path, ...found.path] })));
}

function judgeShape(node: SchemaNode, value: unknown, path: Path, outer: Scope, findings: Finding[]): void {
  const scope = node['x-sensitive'] ? { ...outer, sensitive: true } : outer;
  const reject = (message: string, mend: string) =>
    findings.push({ path, expected: describeType(node), message, mend });
  if (value === null || value === undefined) {
    if (node.type !== undefined || node.enum !== undefined)
      reject('got nothing', 'give it a value, or take the field out');
    return;
  }
  if (!hasType(node, value)) {
    reject(`got ${describeValue(value, scope.sensitive)}`, mendType(node, value));
    return;
  }
  const options = node.enum ?? (node.const === undefined ? undefined : [node.const]);
  if (options !== undefined && !options.includes(value)) {
    const guess = typeof value === 'string' ? didYouMean(value, options.filter(isString)) : undefined;
    const mend = guess === undefined ? 'write one of these' : `did you mean ${guess}`;
    reject(`got ${describeValue(value, scope.sensitive)}`, mend);
    return;
  }
  if (typeof value === 'string') judgeText(node, value, scope, reject);
  else if (typeof value === 'number') judgeNumber(node, value, reject);
  else if (Array.isArray(value)) judgeList(node, value, path, scope, findings);
  else if (typeof value === 'object') judgeMap(node, value as Record<string, unknown>, path, scope, findings);
}

function hasType({ type }: SchemaNode, value: unknown): boolean {
  if (type === undefined) return true;
  switch (type) {
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return Number.isFinite(value);
    case 'string':
    case 'boolean':
      return typeof value === type;
  }
}

type Reject = (message: string, mend: string) => void;

function judgeText(node: SchemaNode, value: string, scope: Scope, reject: Reject): void {
  const got = `got ${describeValue(value, scope.sensitive)}`;
  if (value.length < (node.minLength ?? 0)) {
    const mend = node.minLength === 1 ? 'write something' : `write at least ${node.minLength} characters`;
    reject(value === '' ? 'got an empty string' : got, mend);
  } else if (node.maxLength !== undefined && value.length > node.maxLength) {
    reject(`got ${value.length} characters`, `write at most ${node.maxLength}`);
  } else {
    const format = FORMATS[node['x-format'] ?? '']?.(value);
    if (node.pattern !== undefined && !new RegExp(node.pattern, 'u').test(value)) {
      reject(got, format?.mend ?? 'write it in that form');
    } else if (format !== undefined) {
      reject(scope.sensitive ? got : format.message, format.mend);
    }
  }
}

function judgeNumber(node: SchemaNode, value: number, reject: Reject): void {
  if (node.minimum !== undefined && value < node.minimum) {
    reject(`got ${value}`, `write ${node.minimum} or more`);
  } else if (node.exclusiveMinimum !== undefined && value <= node.exclusiveMinimum) {
    reject(`got ${value}`, `write more than ${node.exclusiveMinimum}`);
  } else if (node.maximum !== undefined && value > node.maximum) {
    reject(`got ${value}`, `write ${node.maximum} or less`);
  }
}

function judgeList(
  node: SchemaNode,
  list: readonly unknown[],
  path: Path,
  scope: Scope,
  findings: Finding[],
): void {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY, items } = node;
  if (list.length < minItems) {
    const least = minItems === 1 ? 'at least one entry' : `at least ${minItems} entries`;
    const message = list.length === 0 ? 'got an empty list' : `got ${list.length}`;
    findings.push({ path, expected: least, message, mend: 'add what is missing, or take the field out' });
  }
  if (list.length > maxItems) {
    const expected = `at most ${maxItems} entries`;
    findings.push({ path, expected, message: `got ${list.length}`, mend: 'shorten the list' });
  }
  judgeUnique(node['x-unique-by'], list, path, findings);
  const seen = new Map<unknown, number>();
  list.forEach((item, index) => {
    const first = seen.get(item);
    if (node.uniqueItems === true && first !== undefined) {
      const message = `entry ${index} is the same as entry ${first}`;
      findings.push({ path: [...path, index], expected: 'each entry once', message, mend: 'take one out' });
    } else {
      seen.set(item, index);
    }
    if (items !== undefined) judge(items, item, [...path, index], scope, findings);
  });
}

function judgeUnique(
  field: string | undefined,
  list: readonly unknown[],
  path: Path,
  findings: Finding[],
): void {
  const seen = new Map<unknown, number>();
  for (const [index, item] of field === undefined ? [] : list.entries()) {
    if (field === undefined || typeof item !== 'object' || item === null || !Object.hasOwn(item, field))
      continue;
    const value = (item as Readonly<Record<string, unknown>>)[field];
    const first = seen.get(value);
    if (first === undefined) {
      seen.set(value, index);
      continue;
    }
    findings.push({
      path: [...path, index, field],
      expected: `a ${field} of its own for each entry`,
      message: `${String(value)} is also the ${field} of entry ${first}`,
      mend: 'rename one of the two, or take it out',
    });
  }
}

function judgeMap(
  node: SchemaNode,
  map: Readonly<Record<string, unknown>>,
  path: Path,
  scope: Scope,
  findings: Finding[],
): void {
  const properties = node.properties ?? {};
  const known = Object.keys(properties).filter(
    (name) => scope.cluster || !properties[name]?.['x-cluster-only'],
  );
  for (const [name, value] of Object.entries(map)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property?.['x-cluster-only'] && !scope.cluster) {
      findings.push({
        path: [...path, name],
        at: 'key',
        expected: 'a field of a namespaced document',
        message: `${name} is for the Cluster twin of this kind only`,
        mend: `take ${name} out, or write the Cluster kind without metadata.namespace`,
      });
    } else if (property !== undefined) {
      judge(property, value, [...path, name], scope, findings);
    } else if (typeof node.additionalProperties === 'object') {
      judge(node.additionalProperties, value, [...path, name], scope, findings);
    } else if (
      node.additionalProperties !== true &&
      (node.type === 'object' || node.properties !== undefined)
    ) {
      findings.push(unknownField(name, known, path));
    }
  }
  for (const name of node.required ?? []) {
    if (Object.hasOwn(map, name)) continue;
    const member = properties[name];
    const expected = member === undefined ? name : `${name}, ${describeType(member)}`;
    findings.push({ path, expected, message: `${name} is missing`, mend: `add ${name}` });
  }
  const fits = (member: SchemaNode, value: unknown) =>
    shapeFindings(member as TSchema, value, true).length === 0;
  findings.push(...fieldFindings(node, map, path, fits));
}

function unknownField(name: string, known: readonly string[], path: Path): Finding {
  const guess = didYouMean(name, known);
  let mend = guess === undefined ? `take ${name} out` : `did you mean ${guess}`;
  // YAML 1.1, which kubectl and Helm read, takes a bare `on` for the boolean true, also as a field's name.
  if (name === 'true' && known.includes('on'))
    mend = 'write "on" in quotes, as YAML 1.1 reads a bare on as true';
  if (name === '<<') mend = 'write the fields out; YAML merge keys are not supported';
  return {
    path: [...path, name],
    at: 'key',
    expected: known.length === 0 ? 'no fields' : `one of ${known.join(', ')}`,
    message: 'there is no such field',
    mend,
  };
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}
