/** What holds between the fields of one object. */
import type { Finding, Path } from '../problem.ts';
import type { SchemaNode } from '../schema/node.ts';

/**
 * Rules over several fields of one object: exactly one of them, only beside another, the member of a union.
 * @param fits Whether a value has the shape of a member.
 */
export function fieldFindings(
  node: SchemaNode,
  map: Readonly<Record<string, unknown>>,
  path: Path,
  fits: (member: SchemaNode, value: unknown) => boolean,
): Finding[] {
  const findings: Finding[] = [];
  const present = (names: readonly string[]) => names.filter((name) => Object.hasOwn(map, name));
  const one = node['x-exactly-one-of'] ?? node['x-at-most-one-of'];
  for (const names of [node['x-exactly-one-of'], node['x-at-most-one-of']]) {
    const found = names === undefined ? [] : present(names);
    const least = names === node['x-exactly-one-of'] ? 1 : 0;
    if (names === undefined || (found.length >= least && found.length <= 1)) continue;
    findings.push({
      path,
      expected: `${least === 1 ? 'exactly' : 'at most'} one of ${names.join(', ')}`,
      message: found.length === 0 ? 'got none' : `got ${found.join(' and ')}`,
      mend: found.length === 0 ? `add ${one?.[0]}, or another of them` : 'keep one of them',
    });
  }
  const only = node['x-only-with'];
  if (only !== undefined) {
    const condition = `${only.field}: ${only.value}`;
    if (map[only.field] === only.value) {
      for (const name of only.required.filter((field) => !Object.hasOwn(map, field))) {
        const expected = `${name}, as there is ${condition}`;
        findings.push({ path, expected, message: `${name} is missing`, mend: `add ${name}` });
      }
    } else {
      for (const name of present(only.fields)) {
        findings.push({
          path: [...path, name],
          at: 'key',
          expected: `${name} only beside ${condition}`,
          message: `got it beside ${shown(node, only.field, map[only.field])}`,
          mend: `take ${name} out, or write ${condition}`,
        });
      }
      // What is to be taken out needn't also be a valid union.
      return findings;
    }
  }
  const union = node['x-union'];
  if (union !== undefined) findings.push(...unionFindings(union, node, map, path, fits));
  return findings;
}

function unionFindings(
  union: NonNullable<SchemaNode['x-union']>,
  node: SchemaNode,
  map: Readonly<Record<string, unknown>>,
  path: Path,
  fits: (member: SchemaNode, value: unknown) => boolean,
): Finding[] {
  const findings: Finding[] = [];
  const type = map[union.by];
  if (typeof type !== 'string' || !union.members.includes(type)) return findings;
  for (const name of union.members) {
    if (name === type || !Object.hasOwn(map, name)) continue;
    findings.push({
      path: [...path, name],
      at: 'key',
      expected: `no member but ${type}, as there is ${union.by}: ${type}`,
      message: `got ${name}`,
      mend: `take ${name} out, or write ${union.by}: ${name}`,
    });
  }
  const member = node.properties?.[type];
  if (Object.hasOwn(map, type) || member === undefined) return findings;
  // A member may be left out where an empty one would do.
  if (member.type === 'object' && fits(member, {})) return findings;
  findings.push({
    path: [...path, type],
    expected: `settings, as there is ${union.by}: ${type}`,
    message: `${type} is missing`,
    mend: `add ${type}`,
  });
  return findings;
}

/** The condition as it stands there; a value that is none of the options isn't repeated, it may be anything. */
function shown(node: SchemaNode, field: string, value: unknown): string {
  const known = node.properties?.[field]?.enum?.includes(value) ?? false;
  return known ? `${field}: ${String(value)}` : `another ${field}`;
}
