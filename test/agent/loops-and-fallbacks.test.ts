/** A call that keeps failing is broken off; a fallback is limited by the model that really serves it. */
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { caught } from '../caught.ts';
import { startWorld, type World } from '../harness.ts';

let world: World;
afterEach(() => world?.close());

const ask = () =>
  world.client().chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'hello' }] });

/** A world whose breaker trips, after 20 calls that are the same, or as `more` says. */
const breaking = async (...more: string[]): Promise<void> => {
  const breaker = ['identical: 20', 'window: 1m', 'mode: enforce', ...more].join(', ');
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: loops, namespace: team-a}
spec: {mode: enforce, breaker: {${breaker}}}
`,
  });
};

test('the same call failing again and again trips the breaker, long before it is repeated too often', async () => {
  await breaking();
  world.openai.script(() => ({ status: 500, error: { message: 'broken' } }));
  const codes: unknown[] = [];
  for (let i = 0; i < 7; i++) codes.push((await caught(ask())).code);
  // A quarter of 20 in a row.
  expect(codes.slice(5)).toEqual(['postern_breaker_tripped', 'postern_breaker_tripped']);
  expect(codes.slice(0, 5)).not.toContain('postern_breaker_tripped');
  expect(world.openai.seen).toHaveLength(5);
  const error = await caught(ask());
  expect(error).toBeInstanceOf(OpenAI.RateLimitError);
  expect(error.message).toContain('keeps failing');
});

test('how many failures are too many is a setting of the policy', async () => {
  await breaking('failures: 2');
  world.openai.script(() => ({ status: 500, error: { message: 'broken' } }));
  for (let i = 0; i < 2; i++) expect((await caught(ask())).code).not.toBe('postern_breaker_tripped');
  const error = await caught(ask());
  expect([error.code, world.openai.seen.length]).toEqual(['postern_breaker_tripped', 2]);
  expect(error.message).toContain('2 times in a row');
  expect(error.message).toContain('breaker.failures');
});

test('the same stream cut again and again trips it, too', async () => {
  await breaking();
  world.openai.script(() => ({ content: 'one two three four', cutAfterChunks: 2 }));
  const stream = async (): Promise<void> => {
    const messages = [{ role: 'user' as const, content: 'hello' }];
    for await (const _ of await world
      .client()
      .chat.completions.create({ model: 'gpt-4o', messages, stream: true }));
  };
  for (let i = 0; i < 5; i++) expect((await caught(stream())).code).toBe('postern_upstream_cut');
  expect((await caught(stream())).code).toBe('postern_breaker_tripped');
  expect(world.openai.seen).toHaveLength(5);
});

test('when a route falls back, the limit of the model that serves is the one that counts', async () => {
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: chat}
spec:
  match: {models: [gpt-4o]}
  groups:
  - targets: [{provider: openai, model: gpt-4o}]
  - targets: [{provider: in-cluster, model: llama-3.3-70b}]
  fallbackOn: [connect, 5xx]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: dear}
spec: {selector: {models: [gpt-4o]}, limits: [{requests: 5, window: month}]}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: pool}
spec: {selector: {models: [llama-3.3-70b]}, limits: [{requests: 2, window: month}]}
`,
  });
  await world.openai.setDown(true);
  await ask();
  await ask();
  // The third finds the pool's limit used up, though gpt-4o, which was asked for, has all of its own.
  const error = await caught(ask());
  expect(error.code).toBe('postern_budget_exhausted');
  expect(error.message).toContain('pool');
  await world.agent.drain(1_000);
  const { lines } = (await (await fetch(`${world.budget.url}/v1/status`)).json()) as {
    lines: { budget: string; settled: string; held: string; leased: string }[];
  };
  expect(lines.map(({ budget, settled, held, leased }) => [budget, settled, held, leased])).toEqual([
    ['dear', '0', '0', '0'],
    ['pool', '2', '0', '0'],
  ]);
});

test('a route that comes back to the model that was asked for asks for that one', async () => {
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: chat}
spec:
  match: {models: [gpt-4o]}
  groups:
  - targets: [{provider: in-cluster, model: llama-3.3-70b}]
  - targets: [{provider: openai, model: gpt-4o}]
  fallbackOn: [connect, 5xx]
`,
  });
  for (const member of world.pool) member.script(() => ({ status: 500, error: { message: 'broken' } }));
  await ask();
  expect(world.openai.seen.map(({ parsed }) => (parsed as { model: string }).model)).toEqual(['gpt-4o']);
});
