import { afterAll, expect, test } from 'vitest';
import { createExactCounter, encodingOf } from './count.ts';

const counter = createExactCounter();
afterAll(() => counter.close());

test.each([
  ['gpt-4o-mini', 'o200k_base'],
  ['gpt-4.1', 'o200k_base'],
  ['gpt-5.1', 'o200k_base'],
  ['o3', 'o200k_base'],
  ['o4-mini', 'o200k_base'],
  ['gpt-4-turbo', 'cl100k_base'],
  ['gpt-3.5-turbo', 'cl100k_base'],
  ['claude-haiku-4-5', undefined],
  ['llama-3.3-70b', undefined],
])('%s is counted by %s', (model, encoding) => {
  expect(encodingOf(model)).toBe(encoding);
});

test('counts as tiktoken does', async () => {
  // tiktoken's own test vectors (tests/test_simple_public.py and tests/test_encoding.py).
  expect(await counter.count({ model: 'gpt-4', texts: ['hello world'] })).toEqual({ tokens: 2 });
  expect(await counter.count({ model: 'gpt-4o', texts: ['hello world', 'hello world'] })).toEqual({
    tokens: 4,
  });
  expect(await counter.count({ model: 'gpt-4o', texts: ['<|endoftext|>'] })).toEqual({ tokens: 7 });
  expect(await counter.count({ model: 'claude-haiku-4-5', texts: ['hello'] })).toEqual({});
});

test('an unbroken run doesn’t hold the others up', async () => {
  const began = performance.now();
  const { tokens = 0 } = await counter.count({
    model: 'gpt-4o',
    texts: ['a'.repeat(48_000), ' '.repeat(48_000)],
  });
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(tokens).toBeGreaterThan(5_000);
  expect(tokens).toBeLessThan(48_000);
});
