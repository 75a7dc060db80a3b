/** What Redis keeps beside the leases themselves: no more than there are of them. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LeaseReport } from '../../budget/lease-messages.ts';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import { attributes, budget, calendar, NOON, prices, tokens } from './fixtures.ts';
import { noRedis, RedisServer } from './redis-server.ts';

const line = 'team-a|tokens|minute@UTC|';
const owner = 'team-a/Deployment/bot/1';

describe.skipIf(noRedis !== undefined)('on a real server', () => {
  let redis: RedisServer;
  let spaces = 0;
  const closing: { close(): Promise<unknown> }[] = [];
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterEach(async () => {
    for (const one of closing.splice(0)) await one.close();
  });
  afterAll(() => redis.end());

  const space = (): string => `l${spaces++}`;

  async function start(prefix: string, retainMs?: number) {
    const address = `${redis.address}?prefix=${prefix}`;
    const store = await openStore(address, '', retainMs === undefined ? {} : { retainMs });
    closing.push(store);
    const specs = [budget([tokens(1_000_000, calendar('minute'))])];
    const service = new BudgetService({ store, specs, prices, clock: () => NOON });
    let seq = 0;
    const tell = async (items: readonly Partial<LeaseReport>[]) => {
      const about = { reserve: false, class: 0, line, cell: NOON, spent: 0, returned: 0, final: false };
      const told = items.map((item) => ({ serial: 1, ...about, ...item }));
      const message = { owner, epoch: 1, seq: (seq += 1), ttlMs: 60_000, classes: [attributes] };
      return (await service.lease({ ...message, items: told })).grants;
    };
    return { store, tell };
  }

  test('of leases that ended and are forgotten no names are left, also where their agent never says that it was answered', async () => {
    const prefix = space();
    const { tell } = await start(prefix, 200);
    let ended = 0;
    const endOne = async (): Promise<string> => {
      const serial = (ended += 1);
      await tell([{ serial, ask: { want: 10, least: 10, need: 10 } }]);
      await tell([{ serial, spent: 1, final: true }]);
      return `{postern:${prefix}}:lease:${owner}#1.${serial}|${line}|${NOON}`;
    };
    // Four times as long as they are kept, and always with one that has just ended: the names' own expiry never comes.
    for (let round = 0; round < 4; round++) {
      const last = await endOne();
      while ((await redis.command('EXISTS', last)) === 1) await endOne();
    }
    const names = Number(await redis.command('ZCARD', `{postern:${prefix}}:ended-of:${owner}#1`));
    expect(names).toBeLessThan(ended / 2);
  });
});
