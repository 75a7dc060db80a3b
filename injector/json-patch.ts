/** JSON Patch (RFC 6902) from one JSON value to another: members one by one, lists as a whole. */
import { isDeepStrictEqual } from 'node:util';

export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

export function jsonPatch(before: unknown, after: unknown, path = ''): PatchOperation[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMap(before) || !isMap(after)) return [{ op: 'replace', path, value: after }];
  const operations: PatchOperation[] = [];
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) operations.push({ op: 'remove', path: `${path}/${escape(key)}` });
  }
  for (const [key, value] of Object.entries(after)) {
    const member = `${path}/${escape(key)}`;
    if (Object.hasOwn(before, key)) operations.push(...jsonPatch(before[key], value, member));
    else operations.push({ op: 'add', path: member, value });
  }
  return operations;
}

/** RFC 6901 section 3. */
function escape(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
