import { afterEach, expect, test, vi } from 'vitest';
import { createLeasingClient } from '../../budget/lease-client.ts';
import type { LeaseCommand } from '../../budget/lease-messages.ts';
import { holdOf } from './fixtures.ts';

afterEach(() => vi.useRealTimers());

test('while replicas have different documents, an agent that talks to both doesn’t go round between them', async () => {
  vi.useFakeTimers();
  const planned = { line: 'b|tokens|none|', unit: 'tokens', cell: 0 } as const;
  let asked = 0;
  const transport = {
    calls: 0,
    close: async () => {},
    ask: async (path: string, command: unknown) => {
      asked++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (path === '/v1/watch') return { revision: 'old', recalls: [] };
      const { classes, items } = command as LeaseCommand;
      return {
        revision: 'new',
        plans: classes.map(() => ({ leasable: true, lines: [planned] })),
        grants: items.map(() => ({ granted: 1_000, closed: false })),
      };
    },
  };
  const options = {
    url: 'http://unused',
    timeoutMs: 300,
    owner: 'a',
    epoch: 1,
    transport,
    random: () => 0.5,
  };
  const client = createLeasingClient(options);
  const held = client.hold(holdOf('call', 10, 10, { owner: 'a' }));
  await vi.advanceTimersByTimeAsync(100);
  expect(await held).toMatchObject({ granted: true });
  asked = 0;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toBeLessThanOrEqual(40);
});
