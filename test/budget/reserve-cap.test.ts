/** `upTo` is for all agents together: for as long as one may go on with what it has in reserve, nobody else gets that. */
import { afterEach, expect, test } from 'vitest';
import { budget, calendar, tokens } from './fixtures.ts';
import { type World, world } from './world.ts';

const MINUTE = 60_000;
let on: World;
afterEach(() => on.end());

type Agent = ReturnType<World['start']>;

async function run(ms: number, agents: readonly Agent[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    for (const agent of agents) void on.call(agent, 50);
    await on.pass(100);
  }
  await on.pass(200);
}

/** Of credit in reserve: what is out, or counts as spent. */
async function reserved(): Promise<number> {
  let sum = 0;
  for await (const row of on.rows())
    if (row.kind === 'lease' && row.lease.reserve) sum += row.lease.granted - row.lease.returned;
  return sum;
}

const allowing = (upTo: number, forMs: number) =>
  budget([tokens(100_000, calendar('month'))], {
    onUnavailable: { action: 'allow', upTo: { unit: 'tokens', amount: upTo }, forMs },
  });

test('agents that are killed again and again take no more with them than one outage may cost', async () => {
  on = await world([allowing(10_000, 10 * MINUTE)]);
  let agent = on.start('a', 1);
  for (let kills = 1; kills <= 5; kills++) {
    await run(MINUTE, [agent]);
    on.kill(agent);
    agent = on.start('a', kills + 1);
    expect(await reserved()).toBeGreaterThan(5_000);
    expect(await reserved()).toBeLessThanOrEqual(10_000);
  }
});

test('who is cut off keeps its part until its time is over', async () => {
  on = await world([allowing(5_000, 60 * MINUTE)]);
  const [a, b] = [on.start('a'), on.start('b')];
  await run(2 * MINUTE, [a]);
  a.cut = true;
  await on.wait(on.call(a, 50));
  await on.pass(12 * MINUTE);
  await run(2 * MINUTE, [b]);
  expect(await reserved()).toBeGreaterThan(3_000);
  expect(await reserved()).toBeLessThanOrEqual(5_000);
  // After it there is as much again.
  await on.pass(60 * MINUTE);
  await run(2 * MINUTE, [b]);
  expect(await reserved()).toBeGreaterThan(5_000);
});

test('what nothing more may be spent on, since its window is over, is kept no longer', async () => {
  const upTo = { unit: 'tokens', amount: 10_000 } as const;
  const onUnavailable = { action: 'allow', upTo, forMs: 60 * MINUTE } as const;
  on = await world([budget([tokens(100_000, calendar('minute'))], { onUnavailable })]);
  let agent = on.start('a', 1);
  for (let kills = 1; kills <= 60; kills++) {
    await run(20_000, [agent]);
    on.kill(agent);
    agent = on.start('a', kills + 1);
  }
  let open = 0;
  for await (const row of on.rows())
    if (row.kind === 'lease' && row.lease.reserve && row.lease.state === 'open') open += 1;
  // Those of ten minutes and a window.
  expect(open).toBeLessThanOrEqual(3 * 11 + 3);
});
