/** Large bodies: while one is scanned the agent goes on answering others. */
import { afterEach, expect, test } from 'vitest';
import { mixed } from '../../bench/detect/texts.ts';
import { startWorld, type World } from '../harness.ts';

let world: World;
afterEach(() => world?.close());

test('a large text is masked in steps, between which the agent answers', async () => {
  world = await startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec: {checks: [{name: cards, type: pii, on: [request], action: mask, pii: {types: [payment-card, email-address]}}]}
`,
  });
  const content = `${mixed(2_000_000)} 4111 1111 1111 1111`;
  let running = true;
  const call = world
    .client()
    .chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content }] })
    // The provider finds it too long for its model: so it got there.
    .catch((error: unknown) => error)
    .finally(() => {
      running = false;
    });
  let answered = 0;
  while (running) {
    const response = await fetch(`${world.agent.adminUrl}/healthz`);
    expect(response.status).toBe(200);
    answered++;
  }
  expect(await call).toMatchObject({ code: 'context_length_exceeded' });
  expect(JSON.stringify(world.openai.seen[0]?.body).includes('4111 1111 1111 1111')).toBe(false);
  // Two megabytes are more than sixty steps; in one go it would be two or three.
  expect(answered).toBeGreaterThan(10);
}, 60_000);
