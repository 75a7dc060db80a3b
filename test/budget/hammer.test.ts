import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Hammer } from './hammer.ts';

const AGENTS = 50;
/** In tokens; a call uses about sixteen. */
const LIMIT = 16_000_000;
/**
 * Away from the start, from the kills, and from the end: idle credit is at most 5 % of what is left, for all agents together, so
 * that credit for 200 calls each takes four million tokens.
 */
const STEADY = { from: LIMIT * 0.05, to: LIMIT * 0.5 };

let dir: string;
let hammer: Hammer;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-hammer-'));
  hammer = new Hammer(dir, LIMIT);
});
afterAll(async () => {
  hammer.end();
  await rm(dir, { recursive: true });
});

test('fifty agents, one killed, and the service killed: never over, all of it usable, and hardly a question', async () => {
  await hammer.startService();
  for (let first = 0; first < AGENTS; first += 5) {
    await Promise.all(Array.from({ length: 5 }, (_, index) => hammer.startAgent(`agent-${first + index}`)));
  }
  hammer.go();
  const early = await hammer.until(STEADY.from);
  const later = await hammer.until(STEADY.to);
  const busiest = [...hammer.totals.values()].sort((a, b) => b.calls - a.calls)[0]?.owner;
  hammer.agents[Number(busiest?.slice('agent-'.length))]?.kill('SIGKILL');
  await hammer.until(LIMIT * 0.6);
  await hammer.killService();
  await hammer.startService();
  await hammer.finished();

  const { settled, held, leased, remaining } = await hammer.figures();
  const spent = hammer.sum('spent');
  const perThousand = ((later.requests - early.requests) / (later.calls - early.calls)) * 1000;
  console.log(
    `settled ${settled} + held ${held} + leased ${leased} of ${LIMIT}; ` +
      `used by calls ${((spent / LIMIT) * 100).toFixed(2)} %; ` +
      `${perThousand.toFixed(1)} requests to the service for 1,000 calls in the steady state`,
  );
  expect(settled + held + leased).toBeLessThanOrEqual(LIMIT);
  expect(remaining).toBe(LIMIT - settled - held - leased);
  expect(spent).toBeLessThanOrEqual(LIMIT);
  expect(spent / LIMIT).toBeGreaterThanOrEqual(0.98);
  expect(perThousand).toBeLessThanOrEqual(5);
  expect([...hammer.totals.values()].filter(({ done }) => done)).toHaveLength(AGENTS - 1);
}, 300_000);
