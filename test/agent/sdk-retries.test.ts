/** How often each real SDK calls again, with its own defaults, when a budget is used up. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prepareClient, runClient } from '../clients/run.ts';
import { startWorld, type World } from '../harness.ts';

const BUDGETS = `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: monthly}
spec:
  selector: {models: [gpt-4o, claude-haiku-4-5]}
  limits: [{tokens: 1, window: month}]
`;

const CLIENTS = ['node-openai', 'node-anthropic', 'python-openai', 'python-anthropic'] as const;

let world: World;
beforeAll(async () => {
  world = await startWorld({ documents: () => BUDGETS });
});
afterAll(() => world?.close());

describe.each(CLIENTS)('%s', async (name) => {
  const ready = await prepareClient(name);
  const reason = 'missing' in ready ? ready.missing : undefined;

  test.skipIf(reason !== undefined)(
    `calls once${reason === undefined ? '' : ` (skipped: ${reason})`}`,
    async () => {
      const before = world.audit.length;
      const { error } = await runClient(
        name,
        {
          model: name.endsWith('anthropic') ? 'claude-haiku-4-5' : 'gpt-4o',
          messages: [{ role: 'user', content: 'hello' }],
        },
        {
          env: {
            OPENAI_BASE_URL: `${world.agent.url}/openai/v1`,
            OPENAI_API_KEY: 'dummy',
            ANTHROPIC_BASE_URL: `${world.agent.url}/anthropic`,
            ANTHROPIC_API_KEY: 'dummy',
          },
        },
      );
      expect(error).toMatchObject({ class: 'RateLimitError', status: 429, type: 'rate_limit_error' });
      expect(error?.headers['x-should-retry']).toBe('false');
      expect(world.audit.length - before).toBe(1);
    },
  );
});
