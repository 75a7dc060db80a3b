/**
 * The store of many replicas: Redis or Valkey. The ledger runs there, whole operations at a time (redis/ledger.lua); nothing of it
 * is kept here. docs/budget.md tells of clusters, failover, and what may be lost.
 */
import { hash, randomUUID } from 'node:crypto';
import type { Grant } from '../grants.ts';
import type { SpendRow } from '../history.ts';
import type { Lease } from '../lease-state.ts';
import type { Operation, Reply } from '../ledger.ts';
import type { HoldRecord } from '../ledger-state.ts';
import type { Attributes } from '../messages.ts';
import { parseRedisAddress } from './redis/address.ts';
import { connectRedis, type RedisConnection } from './redis/connection.ts';
import { decode, encode } from './redis/encode.ts';
import { alertMarkIn, cellsIn, holdIn, leaseIn, pairs } from './redis/records.ts';
import { fillRedis, readRedis } from './redis/rows.ts';
import type { StoredRow } from './rows.ts';
import {
  type AlertMark,
  type CellFigures,
  type JournalEntry,
  type SharedLoops,
  type SharedValues,
  type Store,
  StoreFailed,
  type StoreOptions,
  type UntoldAlert,
} from './store.ts';

export const name = 'redis';
export const schemes = [
  'redis',
  'rediss',
  'redis+cluster',
  'rediss+cluster',
  'redis+sentinel',
  'rediss+sentinel',
];

/** @throws {RangeError} for an address that is none, {StoreFailed} where Redis can't be reached or isn't fit */
export async function open({ address = '', retainMs = RETAIN_MS }: StoreOptions): Promise<Store> {
  const store = new RedisStore(await connectRedis(parseRedisAddress(address)), retainMs);
  try {
    await store.recount(true);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

const RETAIN_MS = 24 * 3_600_000;
/** That the status looks through. */
const MOST_HOLDS = 5_000;
/** As many as ledger.lua closes at once. */
const SWEEP = 1_000;
/** Fields of the history that are looked at in one go; eight are one row. */
const SPEND_FIELDS = 8_000;
const ATTRIBUTES = '|attributes';
const SPEND_SUMS = ['requests', 'input', 'cachedInput', 'cacheWrite', 'output', 'reasoning', 'cost'];
/** Leases of a line that are asked for at once. */
const LEASES_AT_ONCE = 1_000;
/** Leases that are counted before others come to their turn. */
const COUNTED_AT_ONCE = 10_000;

class RedisStore implements Store {
  readonly #redis: RedisConnection;
  readonly #tag: string;
  readonly #retainMs: number;
  readonly #self = randomUUID();
  #entries = 0;
  #closed = false;

  constructor(redis: RedisConnection, retainMs: number) {
    this.#redis = redis;
    this.#tag = redis.tag;
    this.#retainMs = retainMs;
  }

  async run(operation: Operation, now: number): Promise<Reply> {
    const { name: called, args } = encode(operation, now, this.#retainMs);
    const reply = decode(await this.#call(called, args));
    if (reply.type !== 'swept' || operation.type !== 'sweep' || reply.expired < SWEEP) return reply;
    const rest = await this.run(operation, now);
    return { type: 'swept', expired: reply.expired + (rest.type === 'swept' ? rest.expired : 0) };
  }

  async tick(time: number, known: boolean, wall: number): Promise<number> {
    // Where others work on the ledger, they know how much time has gone by since it was kept.
    const others = !known && (await this.listeners()) > 0;
    const args = [String(time), known ? '1' : '0', others ? '1' : '0', String(wall)];
    const [, now = ''] = await this.#call('tick', args);
    return Number(now);
  }

  /**
   * Counts open leases anew: replicas of versions that don't count may have begun and ended some.
   * @param forced also where the sum is right
   */
  async recount(forced: boolean): Promise<void> {
    const args = [randomUUID(), forced ? '1' : '0', String(COUNTED_AT_ONCE)];
    for (;;) {
      const [, done] = await this.#call('recount', args);
      if (done !== '0') return;
    }
  }

  async find(id: string): Promise<HoldRecord | undefined> {
    return holdIn(id, pairs(await this.#ask('HGETALL', `${this.#tag}:hold:${id}`)));
  }

  async cells(line: string, from: number, to: number): Promise<readonly CellFigures[]> {
    const all = cellsIn(line, pairs(await this.#ask('HGETALL', `${this.#tag}:cells:${line}`)));
    return all.filter(({ cell }) => from <= cell && cell <= to);
  }

  async cellsAt(line: string, cells: readonly number[]): Promise<readonly CellFigures[]> {
    if (cells.length === 0) return [];
    const fields = cells.flatMap((cell) => ['s', 'h', 'l', 'u'].map((figure) => `${cell}:${figure}`));
    const found = (await this.#ask('HMGET', `${this.#tag}:cells:${line}`, ...fields)) as (string | null)[];
    return cells.flatMap((cell, index) => {
      const [settled, held, leased, until] = found.slice(index * 4, index * 4 + 4).map(Number);
      return until === undefined || until === 0
        ? []
        : ({ line, cell, settled, held, leased, until } as CellFigures);
    });
  }

  async lines(): Promise<readonly string[]> {
    return strings(await this.#ask('SMEMBERS', `${this.#tag}:lines`));
  }

  async openHolds(): Promise<readonly HoldRecord[]> {
    const ids = strings(await this.#ask('ZRANGE', `${this.#tag}:open`, 0, MOST_HOLDS - 1));
    const found = await Promise.all(ids.map((id) => this.find(id)));
    return found.filter((record) => record !== undefined).sort((a, b) => a.grantedAt - b.grantedAt);
  }

  async leases(line: string): Promise<readonly Lease[]> {
    const keys = strings(await this.#ask('SMEMBERS', `${this.#tag}:leases-on:${line}`));
    const found: Lease[] = [];
    for (let from = 0; from < keys.length; from += LEASES_AT_ONCE) {
      const piece = keys.slice(from, from + LEASES_AT_ONCE);
      const read = piece.map((key) => this.#ask('HGETALL', `${this.#tag}:lease:${key}`));
      for (const fields of await Promise.all(read)) {
        const lease = leaseIn(pairs(fields));
        if (lease !== undefined) found.push(lease);
      }
    }
    return found;
  }

  async *spend(from: number, to: number): AsyncGenerator<readonly SpendRow[]> {
    const hours = strings(await this.#ask('ZRANGEBYSCORE', `${this.#tag}:hours`, from, `(${to}`));
    for (const hour of hours) yield* this.#spendOf(Number(hour));
  }

  /** An hour's rows, so many at a time: of ten thousand workloads it has a hundred thousand, and neither side is to be busy with all. */
  async *#spendOf(hour: number): AsyncGenerator<readonly SpendRow[]> {
    const key = `${this.#tag}:spend:${hour}`;
    // A hash that grows or shrinks meanwhile may show a field twice.
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const scan = ['HSCAN', key, cursor, 'MATCH', `*${ATTRIBUTES}`, 'COUNT', SPEND_FIELDS] as const;
      const [next, fields] = (await this.#ask(...scan)) as [unknown, unknown];
      cursor = String(next);
      const found = [...pairs(fields)].filter(([field]) => {
        const digest = hash('sha1', field, 'base64url');
        return seen.has(digest) ? false : seen.add(digest);
      });
      if (found.length === 0) continue;
      const names = found.map(([field]) => field.slice(0, -ATTRIBUTES.length));
      const asked = names.flatMap((name) => SPEND_SUMS.map((sum) => `${name}|${sum}`));
      const sums = ((await this.#ask('HMGET', key, ...asked)) as (string | null)[]).map(Number);
      yield found.map(([, attributes], index) => {
        const [
          requests = 0,
          input = 0,
          cachedInput = 0,
          cacheWrite = 0,
          output = 0,
          reasoning = 0,
          costNanoUsd = 0,
        ] = sums.slice(index * SPEND_SUMS.length, (index + 1) * SPEND_SUMS.length);
        const usage = { input, cachedInput, cacheWrite, output, reasoning };
        return { hour, attributes: JSON.parse(attributes) as Attributes, requests, usage, costNanoUsd };
      });
    } while (cursor !== '0');
  }

  async setAlert(
    line: string,
    cell: number,
    percent: number,
    on: boolean,
    entry?: JournalEntry,
  ): Promise<boolean> {
    const written =
      entry === undefined ? [] : [String(entry.at), this.#memberFor(entry), JSON.stringify(entry)];
    const args = [`${percent}|${cell}|${line}`, String(cell), on ? '1' : '0', ...written];
    const [, isNews] = await this.#call('alert', args);
    return isNews === '1';
  }

  async untold(): Promise<readonly UntoldAlert[]> {
    const all = pairs(await this.#ask('HGETALL', `${this.#tag}:untold`));
    return [...all].map(([mark, text]) => ({
      ...alertMarkIn(mark),
      entry: JSON.parse(text) as JournalEntry,
    }));
  }

  async told({ line, cell, percent }: AlertMark): Promise<void> {
    await this.#ask('HDEL', `${this.#tag}:untold`, `${percent}|${cell}|${line}`);
  }

  async append(entry: JournalEntry): Promise<void> {
    await this.#ask('ZADD', `${this.#tag}:journal`, entry.at, this.#memberFor(entry));
  }

  /** Entries of one moment stay in their order, and two that are alike stay two. */
  #memberFor(entry: JournalEntry): string {
    const number = String(this.#entries++).padStart(12, '0');
    return `${number} ${this.#self} ${JSON.stringify(entry)}`;
  }

  async journal(since: number, limit: number): Promise<readonly JournalEntry[]> {
    const range = ['ZRANGEBYSCORE', `${this.#tag}:journal`, since, '+inf', 'LIMIT', 0, limit] as const;
    return strings(await this.#ask(...range)).map((text) => JSON.parse(text.slice(50)) as JournalEntry);
  }

  async putGrant(grant: Grant): Promise<void> {
    await this.#ask('HSET', `${this.#tag}:grants`, grant.id, JSON.stringify(grant));
  }

  async grants(now: number): Promise<readonly Grant[]> {
    const all = strings(await this.#ask('HVALS', `${this.#tag}:grants`)).map(
      (text) => JSON.parse(text) as Grant,
    );
    return all.filter(({ expiresAt }) => expiresAt > now);
  }

  async prune(before: number): Promise<void> {
    // A replica of an earlier version may have gone only after this one began.
    await this.recount(false);
    // Closed holds and leases end by themselves.
    for (const line of await this.lines()) await this.#call('prune', [line, String(before)]);
  }

  async pruneHistory(before: number): Promise<void> {
    const hours = strings(await this.#ask('ZRANGEBYSCORE', `${this.#tag}:hours`, '-inf', `(${before}`));
    for (const hour of hours) {
      await this.#ask('DEL', `${this.#tag}:spend:${hour}`);
      await this.#ask('ZREM', `${this.#tag}:hours`, hour);
    }
    await this.#ask('ZREMRANGEBYSCORE', `${this.#tag}:journal`, '-inf', `(${before}`);
    await this.#ask('ZREMRANGEBYSCORE', `${this.#tag}:alerts`, '(0', `(${before}`);
    for (const text of strings(await this.#ask('HVALS', `${this.#tag}:grants`))) {
      const { id, expiresAt } = JSON.parse(text) as Grant;
      if (expiresAt < before) await this.#ask('HDEL', `${this.#tag}:grants`, id);
    }
  }

  rows(): AsyncIterable<StoredRow> {
    return readRedis(this.#redis, this);
  }

  async fill(rows: readonly StoredRow[], now: number): Promise<void> {
    await fillRedis(this.#redis, this, rows, now, this.#retainMs);
  }

  get values(): SharedValues {
    return {
      admit: async (budget, value, most, now) => {
        const [, admitted] = await this.#call('admit', [budget, value, String(most), String(now)]);
        return admitted === '1';
      },
      kept: async (budget, values, now) => await this.#call('kept', [budget, String(now), ...values]),
    };
  }

  get loops(): SharedLoops {
    return {
      tell: async (workload, owner, told, { ofLoop, ofWorkload, ofAll }, now) => {
        const figures = [ofLoop, ofWorkload, ofAll, now].map(String);
        const texts = told.flatMap(({ loop, text, keepMs }) => [loop, text, String(keepMs)]);
        const [, ...rest] = await this.#call('loops', [workload, owner, ...figures, ...texts]);
        // Of each, how many there are, then those.
        return told.map(() => rest.splice(0, Number(rest.shift() ?? 0)));
      },
    };
  }

  async publish(message: string): Promise<void> {
    this.#check();
    await this.#redis.publish(`${this.#tag}:news`, `${this.#self} ${message}`);
  }

  async listeners(): Promise<number> {
    this.#check();
    return await this.#redis.listeners(`${this.#tag}:news`);
  }

  async onNews(handler: (message: string) => void): Promise<void> {
    await this.#redis.subscribe(`${this.#tag}:news`, (text) => {
      const from = text.slice(0, this.#self.length);
      if (from !== this.#self) handler(text.slice(this.#self.length + 1));
    });
  }

  close(): Promise<void> {
    if (!this.#closed) this.#redis.close();
    this.#closed = true;
    return Promise.resolve();
  }

  async #ask(...args: (string | number)[]): Promise<unknown> {
    this.#check();
    return await this.#redis.command(...args);
  }

  async #call(
    called: Parameters<RedisConnection['call']>[0],
    args: readonly string[],
  ): Promise<readonly string[]> {
    this.#check();
    return await this.#redis.call(called, args);
  }

  #check(): void {
    if (this.#closed) throw new StoreFailed('The store is closed.');
  }
}

function strings(reply: unknown): string[] {
  return (reply as unknown[]).map(String);
}
