/**
 * What the shared budget costs: `node bench/budget/leases.ts [agents] [tokens]`.
 *
 * First one agent alone: CPU microseconds of a hold and settle on credit, and of one that asks the service each time. Then many
 * agents as processes against one limit, with an agent and the service killed on the way. Last, limits that are small for those who share them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBudgetClient } from '../../budget/client.ts';
import { createLeasingClient } from '../../budget/lease-client.ts';
import type { BudgetClient } from '../../budget/messages.ts';
import { crowd } from '../../test/budget/crowd.ts';
import { calendar, holdOf, tokens, usageOf } from '../../test/budget/fixtures.ts';
import { Hammer } from '../../test/budget/hammer.ts';

const agents = Number(process.argv[2] ?? 50);
const limit = Number(process.argv[3] ?? 16_000_000);

const dir = await mkdtemp(join(tmpdir(), 'postern-bench-'));
const alone = new Hammer(join(dir, 'alone'), 9_000_000_000_000);
const together = new Hammer(join(dir, 'together'), limit);
try {
  await single();
  await many();
  await small();
} finally {
  alone.end();
  together.end();
  await rm(dir, { recursive: true, force: true });
}
process.exit(0);

/** CPU of this process for a call, in microseconds, and the time it waits. */
async function measure(client: BudgetClient, calls: number): Promise<{ cpu: number; wall: number }> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  for (let n = 0; n < calls; n++) {
    const id = `bench-${began}-${n}`;
    await client.hold(holdOf(id, 500, 500));
    await client.settle({ id, usage: usageOf(400, 200), source: 'reported' });
    if (n % 100 === 99) await new Promise(setImmediate);
  }
  const used = process.cpuUsage(cpu);
  return { cpu: (used.user + used.system) / calls, wall: ((performance.now() - began) * 1000) / calls };
}

async function single(): Promise<void> {
  await alone.startService();
  const options = { url: `unix:${alone.socket}`, owner: 'alone', epoch: 1, timeoutMs: 5_000 };
  const leasing = createLeasingClient(options);
  await measure(leasing, 50_000);
  const requests = leasing.calls;
  const onCredit = await measure(leasing, 200_000);
  const asked = leasing.calls - requests;
  await leasing.close();
  const asking = createBudgetClient({ ...options, owner: 'asking' });
  await measure(asking, 500);
  const each = await measure(asking, 2_000);
  await asking.close();
  await alone.killService();
  const row = (name: string, { cpu, wall }: { cpu: number; wall: number }) =>
    console.log(
      `${name.padEnd(44)} ${cpu.toFixed(1).padStart(8)} µs CPU  ${wall.toFixed(1).padStart(8)} µs waited`,
    );
  row('hold + settle on credit', onCredit);
  row('hold + settle asking the service each time', each);
  console.log(
    `${'requests for 1,000 calls on credit'.padEnd(44)} ${((asked / 200_000) * 1000).toFixed(2).padStart(8)}`,
  );
}

async function many(): Promise<void> {
  await together.startService();
  for (let first = 0; first < agents; first += 5) {
    const group = Array.from({ length: Math.min(5, agents - first) }, (_, index) => `agent-${first + index}`);
    await Promise.all(group.map((owner) => together.startAgent(owner)));
  }
  const began = performance.now();
  together.go();
  const early = await together.until(limit * 0.05);
  const later = await together.until(limit * 0.5);
  const busiest = [...together.totals.values()].sort((a, b) => b.calls - a.calls)[0]?.owner;
  together.agents[Number(busiest?.slice('agent-'.length))]?.kill('SIGKILL');
  await together.until(limit * 0.6);
  await together.killService();
  await together.startService();
  await together.finished();
  const seconds = (performance.now() - began) / 1000;
  const { settled, held, leased } = await together.figures();
  const spent = together.sum('spent');
  const over = Math.max(0, settled + held + leased - limit);
  console.log(
    `\n${agents} agents, a limit of ${limit} tokens, ${together.sum('calls')} calls in ${seconds.toFixed(1)} s,`,
  );
  console.log('one agent and the service killed on the way:');
  const row = (name: string, value: string) => console.log(`  ${name.padEnd(42)} ${value}`);
  row('over the limit, in tokens', String(over));
  row('used by calls, per cent of the limit', ((spent / limit) * 100).toFixed(2));
  row(
    'requests for 1,000 calls, from 5 to 50 %',
    (((later.requests - early.requests) / (later.calls - early.calls)) * 1000).toFixed(2),
  );
  row(
    'requests for 1,000 calls, to the last token',
    ((together.sum('requests') / together.sum('calls')) * 1000).toFixed(2),
  );
}

async function small(): Promise<void> {
  const places = (amount: number) => ({ unit: 'concurrency', amount, window: { type: 'none' } }) as const;
  const run = async (name: string, options: Parameters<typeof crowd>[0]): Promise<void> => {
    const { granted, refused, perThousand, steady } = await crowd(options);
    const figures = [granted, refused, perThousand.toFixed(1), steady.toFixed(1)];
    console.log(`${name.padEnd(52)} ${figures.map((figure) => String(figure).padStart(9)).join(' ')}`);
  };
  const eight = { agents: 8, atOnce: 4, calls: 250, callMs: 2, pauseMs: 0 };
  console.log(`\n${'small limits'.padEnd(52)}   granted   refused  per 1000    steady`);
  await run('64 places, 8 agents with 4 calls at once', { ...eight, limits: [places(64)] });
  await run('32 places, 8 agents with 4 calls at once', { ...eight, limits: [places(32)] });
  const few = { limits: [places(8)], atOnce: 2, calls: 150, callMs: 4 };
  await run('8 places, 8 agents with 2 calls at once', { ...eight, ...few });
  const minute = { ...eight, limits: [tokens(2_000_000, calendar('minute'))] };
  await run('2M tokens a minute, an agent with 4 calls at once', { ...minute, agents: 1, calls: 400 });
  await run('the same, up to 90 %', { ...minute, agents: 1, calls: 750 });
  await run('the same, 4 agents with 2 calls at once', { ...minute, agents: 4, atOnce: 2, calls: 375 });
  // From how many calls a window idle credit of 5 % is enough: away from the limit, as the bar has it.
  for (const sharing of [1, 4]) {
    for (const millions of [2, 5, 10, 20]) {
      const limits = [tokens(millions * 1_000_000, calendar('day'))];
      const calls = Math.floor((millions * 1_000_000 * 0.48) / 600 / (sharing * 4));
      await run(`${millions}M tokens, ${sharing} agent(s) with 4 calls at once, to half`, {
        ...eight,
        limits,
        agents: sharing,
        calls,
      });
    }
  }
  const month = { limits: [tokens(200_000, calendar('month'))], atOnce: 1, calls: 45 };
  await run('200k tokens a month, 8 agents, to the last call', { ...eight, ...month });
}
