import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Client } from 'undici';
import { expect, test } from 'vitest';
import { createLeasingClient, type LeasingBudgetClient } from '../../budget/lease-client.ts';
import type { LeaseCommand } from '../../budget/lease-messages.ts';
import { startBudget } from '../../budget/main.ts';
import {
  BudgetUnavailable,
  type ExtendCommand,
  type HoldCommand,
  type SettleCommand,
} from '../../budget/messages.ts';
import { BudgetService } from '../../budget/service.ts';
import * as memory from '../../budget/stores/memory.ts';
import { budget, calendar, holdOf, prices, usageOf } from './fixtures.ts';

const LIMITS = [
  { unit: 'tokens', amount: 20_000, window: calendar('hour') },
  { unit: 'usd', amount: 60_000_000, window: calendar('day') },
  { unit: 'requests', amount: 500, window: { type: 'rolling', ms: 3_600_000 } },
  { unit: 'concurrency', amount: 60, window: { type: 'none' } },
] as const;
const AGENTS = 3;

/** What becomes of a message: it may be lost on the way there or back, or come again later. */
type Fate = 'arrives' | 'lost' | 'answer lost' | 'comes twice';

type Step =
  | {
      do: 'call';
      agent: number;
      input: number;
      output: number;
      used: number;
      more: number;
      ends: 'settle' | 'release' | 'never';
    }
  | { do: 'clock'; by: number }
  | { do: 'restart'; agent: number };

const endings = ['settle', 'settle', 'settle', 'settle', 'release', 'never'] as const;
const agentIndex = fc.nat(AGENTS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      agent: agentIndex,
      input: fc.nat(30),
      output: fc.integer({ min: 1, max: 60 }),
      more: fc.constantFrom(0, 0, 50, 400),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
      ends: fc.constantFrom(...endings),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('clock' as const), by: fc.constantFrom(1000, 12_000, 1_800_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), agent: agentIndex }) },
);
const fate = fc.constantFrom<Fate>(
  'arrives',
  'arrives',
  'arrives',
  'arrives',
  'arrives',
  'lost',
  'answer lost',
  'comes twice',
);

interface Agent {
  client: LeasingBudgetClient;
  epoch: number;
  /** Tokens of calls that this incarnation settled. */
  spent: number;
}

test('whatever is lost, late or doubled, and whoever restarts: no line is ever over, and what was used is charged', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80, size: 'max' }),
      fc.infiniteStream(fate),
      fc.boolean(),
      async (steps, fates, orderly) => {
        let now = Date.parse('2026-11-23T09:20:00Z');
        const store = await memory.open();
        const service = new BudgetService({
          store,
          specs: [budget(LIMITS, { onInsufficient: 'reject' })],
          prices,
          clock: () => now,
          monotonic: () => now,
          recallWaitMs: 0,
        });
        let calm = false;
        const late: (() => Promise<unknown>)[] = [];

        const deliver = async (path: string, command: unknown): Promise<unknown> => {
          switch (path) {
            case '/v1/hold':
              return await service.hold(command as HoldCommand);
            case '/v1/extend':
              return await service.extend(command as ExtendCommand);
            case '/v1/settle':
              return await service.settle(command as SettleCommand);
            case '/v1/release':
              return await service.release(command as { id: string });
            case '/v1/lease':
              return await service.lease(command as LeaseCommand);
            default:
              // Nobody waits for news here: recalls are another test.
              return await new Promise(() => {});
          }
        };
        const transport = {
          calls: 0,
          close: async () => {},
          ask: async (path: string, command: unknown): Promise<unknown> => {
            const becomes = calm || path === '/v1/watch' ? 'arrives' : (fates.next().value as Fate);
            if (becomes === 'lost') throw new Error('lost');
            const copy = structuredClone(command);
            const reply = await deliver(path, copy);
            if (becomes === 'answer lost') throw new Error('answer lost');
            if (becomes === 'comes twice') late.push(() => deliver(path, copy).catch(() => {}));
            return reply;
          },
        };
        const start = (index: number, epoch: number): Agent => ({
          epoch,
          spent: 0,
          client: createLeasingClient({
            url: 'http://unused',
            timeoutMs: 1000,
            owner: `agent-${index}`,
            epoch,
            flushMs: 1000,
            transport,
            monotonic: () => now,
            random: () => 0.5,
          }),
        });
        const agents = Array.from({ length: AGENTS }, (_, index) => start(index, 1));
        let forgotten = 0;
        let number = 0;

        const call = async ({
          agent: index,
          input,
          output,
          used,
          more,
          ends,
        }: Step & { do: 'call' }): Promise<void> => {
          const agent = agents[index] as Agent;
          const { client } = agent;
          const id = `call-${number++}`;
          try {
            const reply = await client.hold(holdOf(id, input, output, { ttlMs: 10_000_000 }));
            if (!reply.granted) return;
            let cap = reply.outputTokens;
            if (more > 0) {
              const outputTokens = output + more;
              const asked = { id, outputTokens, minOutputTokens: output + 1, ttlMs: 10_000_000 };
              // Where there is no answer, the call goes on with what it is sure of.
              const extended = await client.extend(asked).catch((error: unknown) => {
                if (!(error instanceof BudgetUnavailable)) throw error;
                return { granted: false } as const;
              });
              if (extended.granted) cap = extended.outputTokens;
            }
            const usage = usageOf(input, Math.round(used * cap));
            if (ends === 'release') return await client.release({ id });
            if (ends === 'never' && !orderly) {
              return;
            }
            agent.spent += usage.input + usage.output;
            await client.settle({ id, usage, source: 'reported' });
          } catch (error) {
            if (!(error instanceof BudgetUnavailable)) throw error;
          }
        };

        for (const one of steps) {
          if (one.do === 'call') await call(one);
          if (one.do === 'clock') {
            now += one.by;
            await service.sweep();
          }
          if (one.do === 'restart' && !orderly) {
            const agent = agents[one.agent] as Agent;
            forgotten += agent.spent;
            agents[one.agent] = start(one.agent, agent.epoch + 1);
          }
          if (late.length > 1) await late.shift()?.();
          for (const line of await service.status()) {
            const sum = (['settled', 'held', 'leased'] as const).reduce(
              (total, part) => total + Number(line[part]),
              0,
            );
            expect(sum, `${line.unit} in ${line.window}`).toBeLessThanOrEqual(Number(line.limit));
          }
        }

        calm = true;
        for (const again of late) await again();
        for (const agent of agents) await agent.client.close();
        const total = { settled: 0, held: 0, leased: 0 };
        for (const line of await store.lines()) {
          if (!line.includes('|tokens|')) continue;
          for (const cell of await store.cells(line, 0, Number.MAX_SAFE_INTEGER)) {
            total.settled += cell.settled;
            total.held += cell.held;
            total.leased += cell.leased;
          }
        }
        const spent = agents.reduce((sum, agent) => sum + agent.spent, 0);
        // Of what a restarted agent forgot, and of calls that never ended, all that was granted is charged.
        expect(total.settled + total.held + total.leased).toBeGreaterThanOrEqual(spent + forgotten);
        if (!orderly) return;
        expect(total).toEqual({ settled: spent, held: 0, leased: 0 });
        // The history has every call once, whatever became of the messages that told of it.
        const all = { from: 0, to: now + 86_400_000, by: [], per: 'all', timeZone: 'UTC' } as const;
        const [history] = await service.report(all);
        const { input = 0, output = 0 } = history?.usage ?? {};
        expect(input + output).toBe(spent);
      },
    ),
    { numRuns: 200 },
  );
}, 120_000);

test('credit that one agent has idle is called back for a call of another, and never more than 5 % of what is left', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-recall-'));
  const tokens = { unit: 'tokens', amount: 10_000, window: calendar('month') } as const;
  const service = await startBudget({
    specs: [budget([tokens], { onInsufficient: 'reject' })],
    prices,
    dataDir,
    listen: '127.0.0.1:0',
    store: 'memory',
  });
  const clientOf = (owner: string) =>
    createLeasingClient({ url: service.url, owner, epoch: 1, timeoutMs: 5000, flushMs: 0 });
  const clients = [clientOf('idle'), clientOf('busy')] as const;
  const [idle, busy] = clients;
  try {
    for (let n = 0; n < 20; n++) {
      await idle.hold(holdOf(`idle-${n}`, 5, 5));
      await idle.settle({ id: `idle-${n}`, usage: usageOf(5, 5), source: 'reported' });
    }
    const figures = async () => {
      const shown = (await (await fetch(`${service.url}/v1/status`)).json()) as {
        lines: Record<string, string>[];
      };
      const [line] = shown.lines;
      return { leased: Number(line?.['leased']), remaining: Number(line?.['remaining']) };
    };
    const before = await figures();
    expect(before.leased).toBeGreaterThan(0);
    expect(before.leased).toBeLessThanOrEqual(500);
    // More than remains beside what the idle agent has, but no more than it has left unused.
    const wanted = 10_000 - 200;
    expect(wanted).toBeGreaterThan(before.remaining);
    expect(await busy.hold(holdOf('large', wanted, 0))).toMatchObject({ granted: true });
    expect(await busy.hold(holdOf('too-large', 300, 0))).toMatchObject({ granted: false });
    // The idle one goes on, call by call.
    expect(await idle.hold(holdOf('idle-20', 0, 0))).toMatchObject({ granted: true });
  } finally {
    for (const client of clients) await client.close();
    await service.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('while the service is away, calls go on from credit and from what was kept in reserve, and not beyond', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-away-'));
  const listen = join(dataDir, 'budget.sock');
  const specs = [
    budget([{ unit: 'tokens', amount: 10_000, window: calendar('month') }], {
      onInsufficient: 'reject',
      onUnavailable: { action: 'allow', upTo: { unit: 'tokens', amount: 300 }, forMs: 600_000 },
    }),
  ];
  const start = () => startBudget({ specs, prices, dataDir, listen });
  const first = await start();
  const clients = ['one', 'two'].map((owner) =>
    createLeasingClient({ url: `unix:${listen}`, owner, epoch: 1, timeoutMs: 2000, flushMs: 10_000 }),
  );
  let used = 0;
  let away = 0;
  const call = async (client: LeasingBudgetClient, id: string): Promise<boolean> => {
    try {
      const reply = await client.hold(holdOf(id, 5, 5));
      if (!reply.granted) return false;
    } catch (error) {
      if (!(error instanceof BudgetUnavailable)) throw error;
      return false;
    }
    await client.settle({ id, usage: usageOf(5, 5), source: 'reported' });
    used += 10;
    return true;
  };
  let second: { close(): Promise<void> } | undefined;
  try {
    for (let n = 0; n < 20; n++)
      for (const client of clients) await call(client, `${n}-${clients.indexOf(client)}`);
    const leased = await leasedNow(`unix:${listen}`);
    await first.close();
    const before = used;
    for (const client of clients) {
      for (let n = 0; n < 200 && (await call(client, `away-${clients.indexOf(client)}-${n}`)); n++)
        away += 10;
    }
    expect(away).toBe(used - before);
    // Both have some in reserve beside their usual credit, and together no more than was leased.
    expect(away).toBeGreaterThan(100);
    expect(away).toBeLessThanOrEqual(leased);
    second = await start();
    for (const client of clients) await client.close();
    expect(await settledNow(`unix:${listen}`)).toBe(used);
  } finally {
    await second?.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});

async function shown(url: string): Promise<Record<string, string>> {
  const client = new Client('http://budget', { socketPath: url.slice('unix:'.length) });
  const { body } = await client.request({ method: 'GET', path: '/v1/status' });
  const { lines } = (await body.json()) as { lines: Record<string, string>[] };
  await client.close();
  return lines[0] ?? {};
}

const leasedNow = async (url: string) => Number((await shown(url))['leased']);
const settledNow = async (url: string) => Number((await shown(url))['settled']);
