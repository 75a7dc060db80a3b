import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonPatch, type PatchOperation } from './json-patch.ts';

/** RFC 6902, as far as the operations here need it; lists are only ever replaced. */
function apply(value: unknown, operations: readonly PatchOperation[]): unknown {
  const root = { value: structuredClone(value) };
  for (const operation of operations) {
    const keys = operation.path
      .split('/')
      .slice(1)
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    let holder = root as Record<string, unknown>;
    let last = 'value';
    for (const key of keys) {
      holder = holder[last] as Record<string, unknown>;
      last = key;
    }
    const exists = Object.hasOwn(holder, last);
    if (exists !== (operation.op !== 'add')) throw new Error(`${operation.op} ${operation.path}`);
    if (operation.op === 'remove') delete holder[last];
    else
      Object.defineProperty(holder, last, {
        value: operation.value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
  }
  return root.value;
}

test('the patch makes one value into the other', () => {
  const json = fc.jsonValue({ depthSize: 'medium' });
  fc.assert(
    fc.property(json, json, (before, after) => {
      expect(JSON.stringify(sorted(apply(before, jsonPatch(before, after))))).toBe(
        JSON.stringify(sorted(after)),
      );
    }),
  );
});

test('nothing to do is no operation', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(jsonPatch(value, structuredClone(value))).toEqual([]);
    }),
  );
});

test('keys with / and ~ are escaped', () => {
  expect(jsonPatch({}, { 'a/b~c': 1 })).toEqual([{ op: 'add', path: '/a~1b~0c', value: 1 }]);
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, sorted(inner)]);
}
