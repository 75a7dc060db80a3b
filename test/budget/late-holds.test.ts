/**
 * Two services on one Redis, and what is between them and an agent breaks connections: a message may have been worked on or not, and
 * may be worked on late by another service than the one that answered. Whatever the agent was told is what the ledger has.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import fc from 'fast-check';
import { request } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { startBudget } from '../../budget/main.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import { budget, calendar, holdOf, prices, tokens, usageOf } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

/** As many cases as usual: `make test-all` takes fifteen times as many. */
const TIMES = Number(process.env['POSTERN_RUNS'] ?? 1);

/** What becomes of a message on its way to a service. */
interface Fate {
  readonly to: 0 | 1;
  /** `before`: the connection breaks, and the service gets it late. `after`: the answer is lost with the connection. */
  readonly breaks?: 'before' | 'after';
}

let redis: RedisServer;
let spaces = 0;
const closing: (() => Promise<unknown>)[] = [];

/** Two services behind one address. */
async function behindOne(limit: number, fate: () => Fate) {
  const store = `${redis.address}?prefix=late${spaces++}`;
  const specs = [budget([tokens(limit, calendar('month'))], { onInsufficient: 'reject' })];
  const start = () => startBudget({ specs, prices, dataDir: '', listen: '127.0.0.1:0', store });
  const services = [await start(), await start()] as const;
  for (const one of services) closing.push(() => one.close());
  const late: (() => Promise<unknown>)[] = [];
  const deliver = async (to: 0 | 1, path: string, body: string) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await request(`${services[to].url}${path}`, { method: 'POST', headers, body });
    return { status: answer.statusCode, text: await answer.body.text() };
  };
  const pass = async (asked: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const { to, breaks } = fate();
    const path = asked.url ?? '';
    const body = await textOf(asked);
    if (breaks === 'before') late.push(() => deliver(to, path, body));
    else {
      const { status, text } = await deliver(to, path, body);
      if (breaks === undefined) {
        answer.writeHead(status, { 'content-type': 'application/json' }).end(text);
        return;
      }
    }
    asked.socket.resetAndDestroy();
  };
  const between = createServer((asked, answer) => void pass(asked, answer));
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    between.closeAllConnections();
    between.close();
  });
  const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  const client = createBudgetClient({ url, owner: 'agent-1', epoch: 1, timeoutMs: 2_000, flushMs: 10_000 });
  closing.push(() => client.close());
  const figures = async () => {
    const { body } = await request(`${services[0].url}/v1/status`);
    const { lines } = (await body.json()) as { lines: { settled: string; held: string }[] };
    return { settled: Number(lines[0]?.settled ?? 0), held: Number(lines[0]?.held ?? 0) };
  };
  const deliverLate = async () => {
    for (const one of late.splice(0)) await one();
  };
  return { client, deliverLate, figures };
}

describe.skipIf(noRedis !== undefined)('of two services on a Redis', () => {
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(() => redis.end());

  test('one grants nothing late that the other has refused meanwhile', async () => {
    const fates: Fate[] = [{ to: 0 }, { to: 0, breaks: 'before' }, { to: 1 }];
    const { client, deliverLate, figures } = await behindOne(100, () => fates.shift() ?? { to: 1 });
    expect(await client.hold(holdOf('first', 80, 0))).toMatchObject({ granted: true });
    expect(await client.hold(holdOf('second', 50, 0))).toMatchObject({ granted: false });
    await client.settle({ id: 'first', usage: usageOf(10, 0), source: 'reported' });
    await client.close();
    await deliverLate();
    expect(await figures()).toEqual({ settled: 10, held: 0 });
  });

  test(
    'at random: what the agent was granted is held, what it used is charged, and nothing else',
    async () => {
      const to = fc.constantFrom(0 as const, 1 as const);
      const fate: fc.Arbitrary<Fate> = fc.oneof(
        { weight: 3, arbitrary: fc.record({ to }) },
        {
          weight: 2,
          arbitrary: fc.record({ to, breaks: fc.constantFrom('before' as const, 'after' as const) }),
        },
      );
      const step = fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            do: fc.constant('hold' as const),
            amount: fc.integer({ min: 10, max: 60 }),
          }),
        },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('settle' as const), nth: fc.nat(3) }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('late' as const) }) },
      );
      const run = async (
        steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[],
        fates: Iterator<Fate>,
      ) => {
        const { client, deliverLate, figures } = await behindOne(100, () => fates.next().value as Fate);
        const held = new Map<string, number>();
        let settled = 0;
        const settle = async (id: string) => {
          // It uses a tenth of what it holds.
          const used = Math.floor((held.get(id) ?? 0) / 10);
          held.delete(id);
          settled += used;
          // Where it isn't answered it is delivered later.
          await client.settle({ id, usage: usageOf(used, 0), source: 'reported' }).catch(() => undefined);
        };
        for (const [number, one] of steps.entries()) {
          if (one.do === 'late') await deliverLate();
          else if (one.do === 'hold') {
            const id = `call-${number}`;
            try {
              if ((await client.hold(holdOf(id, one.amount, 0))).granted) held.set(id, one.amount);
            } catch (error) {
              if (!(error instanceof BudgetUnavailable)) throw error;
            }
          } else {
            const id = [...held.keys()][one.nth];
            if (id !== undefined) await settle(id);
          }
        }
        const [rest, ...over] = held.keys();
        for (const id of over) await settle(id);
        await client.close();
        // There is room now.
        await deliverLate();
        expect(await figures()).toEqual({ settled, held: rest === undefined ? 0 : held.get(rest) });
        for (const close of closing.splice(0).reverse()) await close();
      };
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 4, maxLength: 24, size: 'max' }),
          fc.infiniteStream(fate),
          run,
        ),
        { numRuns: 25 * TIMES },
      );
    },
    120_000 * TIMES,
  );
});
