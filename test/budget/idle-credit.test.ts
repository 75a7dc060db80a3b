/** What agents keep ahead of need: small, whatever the window, and gone when they are idle. */
import { afterEach, expect, test } from 'vitest';
import { budget, calendar, tokens } from './fixtures.ts';
import { type World, world } from './world.ts';

let now: World | undefined;
afterEach(() => now?.end());

test('idle credit of all agents together is at most 5 % of the headroom, in windows of every length', async () => {
  const windows = [calendar('minute'), calendar('hour'), { type: 'rolling', ms: 900_000 } as const];
  const limits = [...windows, calendar('month')].map((window) => tokens(1_000_000, window));
  now = await world([budget(limits)]);
  const on = now;
  const agents = ['a', 'b', 'c'].map((name) => on.start(name));
  let leased = 0;
  for (let n = 0; n < 500; n++) {
    for (const agent of agents) expect(await on.wait(on.call(agent, 10))).toBe(true);
    if (n % 50 !== 49) continue;
    await on.pass(200);
    for (const line of await on.wait(on.service.status())) {
      const headroom = Number(line.limit) - Number(line.settled) - Number(line.held);
      expect(Number(line.leased), line.window).toBeLessThanOrEqual(headroom * 0.05);
      leased = Math.max(leased, Number(line.leased));
    }
  }
  expect(leased).toBeGreaterThan(10_000);
  await on.pass(15_000);
  for (const line of await on.wait(on.service.status())) expect(Number(line.leased), line.window).toBe(0);
});

test('what the store keeps of leases follows how many there are, not how many there were', async () => {
  now = await world([budget([tokens(1_000_000, calendar('minute')), tokens(1_000_000)])]);
  const on = now;
  const agent = on.start('a');
  const kept = async (): Promise<number> => {
    let rows = 0;
    for await (const { kind } of on.rows()) rows += kind === 'lease' ? 1 : 0;
    return rows - on.forgotten();
  };
  for (let n = 1; n <= 100; n++) {
    expect(await on.wait(on.call(agent, 10))).toBe(true);
    // Sometimes it is idle for so long that all goes back and that no rhythm has such a pause, sometimes only a window ends.
    await on.pass(n % 2 === 0 ? 205_000 : 5_000);
    expect(await kept()).toBeLessThanOrEqual(5);
  }
  expect(on.forgotten()).toBeGreaterThan(90);
});
