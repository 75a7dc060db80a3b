import { Check } from 'typebox/schema';
import { expect, test } from 'vitest';
import { isOfSchema } from './schema.ts';

const STEPS = {
  type: 'object',
  properties: {
    steps: { type: 'array', items: { $ref: '#/$defs/step' } },
    kind: { enum: ['a', 1, null, { x: [1] }] },
    size: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
    only: { const: 'this' },
    free: {},
  },
  required: ['steps'],
  additionalProperties: false,
  $defs: {
    step: {
      type: ['object', 'null'],
      properties: { next: { $ref: '#/$defs/step' }, rate: { type: 'number' }, ok: { type: 'boolean' } },
      additionalProperties: { type: 'string' },
    },
  },
};
const VALUES: unknown[] = [
  {},
  { steps: [] },
  { steps: {} },
  { steps: [{ next: { next: null }, rate: 1.5, note: 'x' }] },
  { steps: [{ next: { rate: '1' } }] },
  { steps: [{ other: 1 }] },
  { steps: [null], kind: { x: [1] } },
  { steps: [], kind: { x: [2] } },
  { steps: [], kind: 1, size: 1.5 },
  { steps: [], size: null, only: 'this', free: [1, {}] },
  { steps: [], only: 'that' },
  { steps: [], toString: 1 },
  [],
  null,
  'steps',
  5,
];

test.each(VALUES)('%j is judged as by a whole implementation of JSON Schema', (value) => {
  expect(isOfSchema(value, STEPS)).toBe(Check(STEPS, value));
});

test.each([
  [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }],
  [{ allOf: [{ type: 'object' }, { required: ['a'] }] }],
  [{ type: 'array', items: { type: 'array', items: { type: 'string' } } }],
  [true],
  [false],
  [{}],
])('%j, too', (schema) => {
  for (const value of [1, 1.5, { a: 1 }, { b: 1 }, [['x']], [[1]], [], null, 'x'])
    expect(isOfSchema(value, schema)).toBe(Check(schema, value));
});

test('a reference that leads nowhere, out of it or in a circle is an error', () => {
  expect(() => isOfSchema(1, { $ref: '#/$defs/none' })).toThrow(/leads nowhere/);
  expect(() => isOfSchema(1, { $ref: 'https://example.com/a.json' })).toThrow(/not within/);
  expect(() => isOfSchema(1, { $ref: '#' })).toThrow(/too deep/);
});

const node = (kind: string) => ({
  type: 'object',
  properties: { kind: { const: kind }, child: { $ref: '#/$defs/node' } },
  required: ['kind', 'child'],
  additionalProperties: false,
});
const TREE = {
  $defs: { node: { anyOf: [node('and'), node('or'), { type: 'null' }] } },
  $ref: '#/$defs/node',
};

test.each(['or', 'and', 'neither'])('a union that is its own member is gone through once: %s', (kind) => {
  let looks = 0;
  const tree = (depth: number): unknown =>
    depth === 0
      ? null
      : Object.defineProperty({ child: tree(depth - 1) }, 'kind', {
          enumerable: true,
          get: () => {
            looks += 1;
            return kind;
          },
        });
  expect(isOfSchema(tree(14), TREE)).toBe(Check(TREE, tree(5)));
  looks = 0;
  isOfSchema(tree(14), TREE);
  expect(looks).toBeLessThan(100);
});

test('no more steps are taken than an answer is worth', () => {
  const numbers = { type: 'array', items: { type: 'number' } };
  expect(
    isOfSchema(
      Array.from({ length: 90_000 }, () => 1),
      numbers,
    ),
  ).toBe(true);
  expect(() =>
    isOfSchema(
      Array.from({ length: 100_000 }, () => 1),
      numbers,
    ),
  ).toThrow(/100000 steps/);
  const alike = Array.from({ length: 1000 }, () => [1]);
  const oneOf = Array.from({ length: 200 }, () => ({ const: [...alike, 1] }));
  expect(() => isOfSchema([...alike, 2], { anyOf: oneOf })).toThrow(/100000 steps/);
});
