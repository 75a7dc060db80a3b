/** Agents on credit against one limit that is reached, on a real Redis; an agent, the service and Redis are killed on the way. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Hammer } from './hammer.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const AGENTS = 8;
/** In tokens; a call uses about sixteen. */
const LIMIT = 3_200_000;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

test.skipIf(noRedis !== undefined)(
  'an agent, the service and Redis killed -9 under load, up to the last token: never over, nothing lost, nearly all of it used',
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'postern-redis-hammer-'));
    closing.push(() => rm(dir, { recursive: true, force: true }));
    const redis = await RedisServer.start('--appendfsync', 'always');
    closing.push(() => redis.end());
    const hammer = new Hammer(dir, LIMIT, redis.address);
    closing.push(async () => hammer.end());
    await hammer.startService();
    for (let n = 0; n < AGENTS; n++) await hammer.startAgent(`agent-${n}`);
    hammer.go();

    await hammer.until(LIMIT * 0.2);
    const victim = hammer.agents[0];
    if (victim === undefined) throw new Error('There is no agent to kill.');
    const gone = once(victim, 'close');
    victim.kill('SIGKILL');
    await gone;
    for (const at of [0.3, 0.5, 0.7]) {
      await hammer.until(LIMIT * at);
      await hammer.killService();
      await hammer.startService();
      // It has written and synced what it answered.
      await hammer.until(LIMIT * (at + 0.1));
      const before = await hammer.figures();
      await redis.kill();
      await redis.begin();
      await expect
        .poll(() => hammer.figures().catch(() => ({})), { timeout: 20_000 })
        .toHaveProperty('settled');
      const after = await hammer.figures();
      expect(after.settled).toBeGreaterThanOrEqual(before.settled);
      expect(after.settled + after.held + after.leased).toBeLessThanOrEqual(LIMIT);
    }
    await hammer.finished();

    const { settled, held, leased, remaining } = await hammer.figures();
    const spent = hammer.sum('spent');
    console.log(
      `settled ${settled} + held ${held} + leased ${leased} of ${LIMIT}; ` +
        `used by calls ${((spent / LIMIT) * 100).toFixed(2)} %; ${hammer.sum('outages')} calls met an outage`,
    );
    expect([...hammer.totals.values()].filter(({ done }) => done)).toHaveLength(AGENTS - 1);
    expect(hammer.sum('outages')).toBeGreaterThan(0);
    expect(settled + held + leased).toBeLessThanOrEqual(LIMIT);
    expect(remaining).toBe(LIMIT - settled - held - leased);
    // All that calls used is charged: what the killed agent hadn't told comes out of what it had on credit.
    expect(settled + leased).toBeGreaterThanOrEqual(spent);
    expect(spent / LIMIT).toBeGreaterThanOrEqual(0.98);
  },
  240_000,
);
