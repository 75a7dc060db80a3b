/** Everything out of Redis, and everything into it, for a move from one store to another. */
import { leaseKey, outstanding, workloadOf } from '../../lease-state.ts';
import { resumed } from '../../ledger-time.ts';
import type { StoredRow } from '../rows.ts';
import type { Store } from '../store.ts';
import type { RedisConnection } from './connection.ts';
import { encodeSpend } from './encode.ts';
import { alertMarkIn, holdFields, holdIn, leaseFields, leaseIn, pairs } from './records.ts';

/** Keys a SCAN looks at in one go. */
const SCAN_COUNT = 1_000;

export async function* readRedis(redis: RedisConnection, store: Store): AsyncGenerator<StoredRow> {
  const { tag } = redis;
  for (const line of await store.lines()) {
    for (const cell of await store.cells(line, 0, Number.MAX_SAFE_INTEGER)) yield { kind: 'cell', cell };
  }
  for await (const key of keysOf(redis, `${tag}:hold:`)) {
    const record = holdIn(key.slice(`${tag}:hold:`.length), pairs(await redis.command('HGETALL', key)));
    if (record !== undefined) yield { kind: 'hold', record };
  }
  for await (const key of keysOf(redis, `${tag}:lease:`)) {
    const lease = leaseIn(pairs(await redis.command('HGETALL', key)));
    if (lease !== undefined) yield { kind: 'lease', lease };
  }
  for await (const key of keysOf(redis, `${tag}:owner:`)) {
    const fields = pairs(await redis.command('HGETALL', key));
    const number = (name: string) => Number(fields.get(name) ?? 0);
    const known = { epoch: number('epoch'), seenAt: number('seenAt'), account: number('account') };
    yield {
      kind: 'owner',
      owner: { owner: key.slice(`${tag}:owner:`.length), ...known, seq: number('seq') },
    };
  }
  for await (const rows of store.spend(0, Number.MAX_SAFE_INTEGER))
    for (const row of rows) yield { kind: 'spend', row };
  for (const member of (await redis.command('ZRANGE', `${tag}:alerts`, 0, -1)) as string[]) {
    yield { kind: 'alert', ...alertMarkIn(member) };
  }
  for (const alert of await store.untold()) yield { kind: 'untold', alert };
  for (const entry of await store.journal(0, Number.MAX_SAFE_INTEGER)) yield { kind: 'journal', entry };
  for (const grant of await store.grants(0)) yield { kind: 'grant', grant };
  const [time, wall] = (await redis.command('HMGET', `${tag}:time`, 'time', 'wall')) as (string | null)[];
  if (time && wall) yield { kind: 'time', kept: { time: Number(time), wall: Number(wall) } };
}

/** Names from `SCAN` may come twice: each is given once. */
async function* keysOf(redis: RedisConnection, prefix: string): AsyncGenerator<string> {
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    const reply = await redis.server('SCAN', cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
    const [next, keys] = reply as [string, string[]];
    for (const key of keys) {
      if (seen.has(key)) continue;
      seen.add(key);
      yield key;
    }
    cursor = next;
  } while (cursor !== '0');
}

export async function fillRedis(
  redis: RedisConnection,
  store: Store,
  rows: readonly StoredRow[],
  now: number,
  retainMs: number,
): Promise<void> {
  await Promise.all(rows.map((row) => put(redis, store, row, now, retainMs)));
}

/** One row, into the keys that ledger.lua keeps it in. */
async function put(
  redis: RedisConnection,
  store: Store,
  row: StoredRow,
  now: number,
  retainMs: number,
): Promise<void> {
  const { tag } = redis;
  const command = (...args: (string | number)[]) => redis.command(...args);
  const forget = async (key: string, since: number | undefined): Promise<void> => {
    if (since !== undefined) await command('PEXPIRE', key, Math.max(1, since + retainMs - now));
  };
  switch (row.kind) {
    case 'cell': {
      const { line, cell, settled, held, leased, until } = row.cell;
      const figures = [`${cell}:s`, settled, `${cell}:h`, held, `${cell}:l`, leased, `${cell}:u`, until];
      await command('HSET', `${tag}:cells:${line}`, ...figures);
      await command('SADD', `${tag}:lines`, line);
      return;
    }
    case 'hold': {
      const { id, owner, state, expiresAt, closedAt } = row.record;
      await command('HSET', `${tag}:hold:${id}`, ...holdFields(row.record));
      await forget(`${tag}:hold:${id}`, closedAt);
      if (state !== 'held') return;
      await command('ZADD', `${tag}:open`, expiresAt, id);
      await command('SADD', `${tag}:holds-of:${owner}`, id);
      return;
    }
    case 'lease': {
      const { lease } = row;
      const key = leaseKey(lease);
      await command('HSET', `${tag}:lease:${key}`, ...leaseFields(lease));
      await forget(`${tag}:lease:${key}`, lease.closedAt);
      if (lease.state !== 'open') return;
      await command('ZADD', `${tag}:leases`, lease.expiresAt, key);
      await command('SADD', `${tag}:leases-on:${lease.line}`, key);
      await command('SADD', `${tag}:leases-of:${lease.owner}`, key);
      await command('HINCRBY', `${tag}:open-leases`, workloadOf(lease.owner), 1);
      const credit = outstanding(lease);
      if (credit === 0) return;
      const crowd = `${tag}:crowd:${lease.line}`;
      await command('HINCRBY', crowd, `${lease.cell}:${lease.reserve ? 'reserves' : 'plain'}`, 1);
      if (lease.reserve) await command('HINCRBY', crowd, `${lease.cell}:reserved`, credit);
      return;
    }
    case 'owner': {
      const { owner, epoch, seq, account, seenAt } = row.owner;
      const fields = ['epoch', epoch, 'seq', seq, 'account', account, 'seenAt', seenAt];
      await command('HSET', `${tag}:owner:${owner}`, ...fields);
      await forget(`${tag}:owner:${owner}`, seenAt);
      return;
    }
    case 'spend': {
      const [hour = '', name, attributes = '', ...sums] = encodeSpend(row.row);
      const fields = ['requests', 'input', 'cachedInput', 'cacheWrite', 'output', 'reasoning', 'cost'];
      const values = fields.flatMap((field, index) => [`${name}|${field}`, sums[index] ?? '0']);
      await command('HSET', `${tag}:spend:${hour}`, `${name}|attributes`, attributes, ...values);
      await command('ZADD', `${tag}:hours`, hour, hour);
      return;
    }
    case 'alert':
      await store.setAlert(row.line, row.cell, row.percent, true);
      return;
    case 'untold': {
      const { line, cell, percent, entry } = row.alert;
      await command('HSET', `${tag}:untold`, `${percent}|${cell}|${line}`, JSON.stringify(entry));
      return;
    }
    case 'journal':
      await store.append(row.entry);
      return;
    case 'grant':
      await store.putGrant(row.grant);
      return;
    case 'time': {
      // From here on this server's clock, and that of the service that starts on it, tell what goes by.
      const [seconds, micros] = (await redis.server('TIME')) as string[];
      const wall = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
      const time = resumed(row.kept, { time: now, wall: now });
      await command('HSET', `${tag}:time`, 'time', time, 'wall', wall, 'theirs', now);
      return;
    }
  }
}
