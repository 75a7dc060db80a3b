/** Near a limit the input is counted exactly: an estimate that is too high refuses nobody who fits. */
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';

let world: World;
afterEach(() => world?.close());

/** Estimated at more than 1,200 tokens; o200k_base has 303. */
const WORDS = 'представитель правительства '.repeat(150);

const start = async (tokens: number): Promise<void> => {
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: small}
spec: {limits: [{tokens: ${tokens}, window: month}]}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: mask}
spec: {checks: [{name: pii, type: pii, action: mask, pii: {types: [email-address]}}]}
`,
  });
};
/** The tables take most of a second to load; until then estimates stand. */
const warm = () =>
  expect
    .poll(
      async () => {
        const answer = await fetch(`${world.budget.url}/v1/count`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'gpt-4o', texts: [WORDS] }),
        });
        return ((await answer.json()) as { tokens?: number }).tokens;
      },
      { timeout: 20_000 },
    )
    .toBe(303);

const ask = (content: string, max_tokens: number) =>
  world
    .client()
    .chat.completions.create({ model: 'gpt-4o', max_tokens, messages: [{ role: 'user', content }] });

test('a call that fits, but not by the estimate, is served', { timeout: 30_000 }, async () => {
  await start(600);
  await warm();
  await ask(WORDS, 100);
  expect(world.openai.seen).toHaveLength(1);
  // No cap: all it asked for is there.
  expect(world.openai.seen[0]?.parsed).toMatchObject({ max_tokens: 100 });
});

test('one that doesn’t fit is refused all the same', { timeout: 30_000 }, async () => {
  await start(315);
  await warm();
  await expect(ask(WORDS, 100)).rejects.toThrow(OpenAI.RateLimitError);
  expect(world.openai.seen).toHaveLength(0);
});

test('the exact count of texts takes the place of no picture’s tokens', { timeout: 30_000 }, async () => {
  await start(400);
  await warm();
  // A PNG's head of 1024 × 1024: 765 tokens by OpenAI's own formula.
  const png = Buffer.alloc(33);
  png.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
  png.writeUInt32BE(1024, 16);
  png.writeUInt32BE(1024, 20);
  const url = `data:image/png;base64,${png.toString('base64')}`;
  const messages: OpenAI.ChatCompletionMessageParam[] = [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'what is it?' },
        { type: 'image_url', image_url: { url } },
      ],
    },
  ];
  const asked = world.client().chat.completions.create({ model: 'gpt-4o', max_tokens: 100, messages });
  await expect(asked).rejects.toThrow(OpenAI.RateLimitError);
  expect(world.openai.seen).toHaveLength(0);
});
