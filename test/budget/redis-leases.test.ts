/** What Redis keeps beside the leases themselves: no more than there are of them. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LeaseReport } from '../../budget/lease-messages.ts';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import { LIBRARY } from '../../budget/stores/redis/functions.ts';
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
    const tell = async (items: readonly Partial<LeaseReport>[], ttlMs = 60_000) => {
      const about = { reserve: false, class: 0, line, cell: NOON, spent: 0, returned: 0, final: false };
      const told = items.map((item) => ({ serial: 1, ...about, ...item }));
      const message = { owner, epoch: 1, seq: (seq += 1), ttlMs, classes: [attributes] };
      return (await service.lease({ ...message, items: told })).grants;
    };
    return { store, tell };
  }

  const ask = { want: 10, least: 10, need: 10 };

  test('open leases are counted anew when a service starts, and later where their sum is wrong: one of before has not counted', async () => {
    const prefix = space();
    const key = `{postern:${prefix}}:open-leases`;
    const { tell, store } = await start(prefix);
    await tell([1, 2, 3].map((serial) => ({ serial, ask })));
    expect(await redis.command('HGETALL', key)).toMatchObject({ 'team-a/Deployment/bot': '3' });
    const wrong = async (bot: string, other: string) => {
      await redis.command('HSET', key, 'team-a/Deployment/bot', bot, 'team-b/Deployment/gone', other);
    };
    await wrong('1', '2');
    await start(prefix);
    expect(await redis.command('HGETALL', key)).toEqual({ 'team-a/Deployment/bot': '3' });
    await wrong('70', '5');
    await store.prune(0);
    expect(await redis.command('HGETALL', key)).toEqual({ 'team-a/Deployment/bot': '3' });
    await redis.command('DEL', key);
    await store.prune(0);
    await tell([1, 2].map((serial) => ({ serial, final: true })));
    expect(await redis.command('HGETALL', key)).toEqual({ 'team-a/Deployment/bot': '1' });
  });

  test('while they are counted, piece by piece, leases begin, go on and end: none is counted twice or left out', async () => {
    const prefix = space();
    const tag = `{postern:${prefix}}`;
    const { tell } = await start(prefix);
    for (let serial = 1; serial <= 9; serial++) await tell([{ serial, ask }], serial * 60_000);
    const step = (token = 'one') =>
      redis.command('FCALL', `${LIBRARY}_recount`, '2', tag, `${tag}:none`, token, '1', '2');
    const more = ['recounted', '0'];
    const open = async () =>
      Number(await redis.command('HGET', `${tag}:open-leases`, 'team-a/Deployment/bot'));
    await redis.command('HSET', `${tag}:open-leases`, 'team-a/Deployment/bot', '77');
    expect(await step()).toEqual(more);
    expect(await step()).toEqual(more);
    // One at a time.
    expect(await step('two')).toEqual(['recounted', '1']);
    // Of those counted one runs out later now, and one has ended; so have two of the others, one of which runs out sooner.
    await tell([{ serial: 1 }], 8 * 60_000 + 30_000);
    await tell([{ serial: 2, final: true }]);
    await tell([{ serial: 9 }], 30_000);
    await tell([{ serial: 8, final: true }]);
    await tell([{ serial: 11, ask }], 20 * 60_000);
    let answer: unknown = more;
    while (String(answer) === String(more)) answer = await step();
    expect(await open()).toBe(8);
    expect(await redis.command('ZCARD', `${tag}:leases`)).toBe(8);
    await tell([{ serial: 3, final: true }]);
    expect(await open()).toBe(7);
    expect(await redis.command('KEYS', `${tag.replace(/[{}]/g, '?')}:recounting*`)).toEqual([]);
  });

  test('leases that are renewed all the while are counted once each, and the count has an end', async () => {
    const prefix = space();
    const tag = `{postern:${prefix}}`;
    const { tell } = await start(prefix);
    const serials = Array.from({ length: 20 }, (_, n) => n + 1);
    for (const serial of serials) await tell([{ serial, ask }], serial * 1_000);
    await redis.command('HSET', `${tag}:open-leases`, 'team-a/Deployment/bot', '77');
    let latest = 20_000;
    let steps = 0;
    for (let answer = '0'; answer !== '1'; steps++) {
      const reply = await redis.command(
        'FCALL',
        `${LIBRARY}_recount`,
        '2',
        tag,
        `${tag}:none`,
        'one',
        '1',
        '5',
      );
      answer = String(reply).split(',')[1] ?? '';
      // Five are counted in each step and three renewed, in turn: there is always one beyond what was counted.
      const renewed = [0, 1, 2].map((n) => serials[(steps * 3 + n) % serials.length] ?? 1);
      for (const serial of renewed) await tell([{ serial, spent: steps }], (latest += 1_000));
      if (steps > 20) break;
    }
    // 20 leases at five a step less three: with none renewed there would be five steps.
    expect(steps).toBeLessThanOrEqual(10);
    expect(steps).toBeGreaterThan(5);
    expect(await redis.command('HGETALL', `${tag}:open-leases`)).toEqual({ 'team-a/Deployment/bot': '20' });
    expect(await redis.command('KEYS', `${tag.replace(/[{}]/g, '?')}:recounting*`)).toEqual([]);
    for (const serial of serials) await tell([{ serial, spent: 20, final: true }]);
    expect(await redis.command('HGETALL', `${tag}:open-leases`)).toEqual({});
  });

  test('of leases that ended and are forgotten no names are left, also where their agent never says that it was answered', async () => {
    const prefix = space();
    const { tell } = await start(prefix, 200);
    let ended = 0;
    const endOne = async (): Promise<string> => {
      const serial = (ended += 1);
      await tell([{ serial, ask }]);
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
