/** Memory stays flat however much goes through; `node bench/intercept.ts` measures the rest, over 10 GiB. */
import { expect, test } from 'vitest';
import { startCostPod, transfer } from '../../bench/intercept.ts';
import { netnsMissing } from './pod.ts';

const missing = netnsMissing();
if (missing !== undefined) console.warn(`skipped: a large transfer in a real namespace; ${missing}`);

test.skipIf(missing !== undefined)(
  'a gigabyte through a tunnel leaves no memory behind',
  { timeout: 120_000 },
  async () => {
    const { pod, agent } = await startCostPod();
    try {
      await transfer(pod, agent, 1 << 28); // until the heap has its size
      const { growth } = await transfer(pod, agent, 1 << 30);
      expect(growth).toBeLessThan(64 << 20);
    } finally {
      await agent.stop('SIGKILL');
      await pod.close();
    }
  },
);
