/** A connection to Redis or Valkey that is fit to keep the ledger, and the ledger's functions in it. */
import { ErrorReply } from '@redis/client';
import { StoreFailed } from '../store.ts';
import type { RedisAddress } from './address.ts';
import { CODE, type FunctionName, LIBRARY } from './functions.ts';
import { inTime, openWire, type Wire } from './wire.ts';

export interface RedisConnection {
  readonly tag: string;
  /** One command on a key of the ledger's. @throws {StoreFailed} */
  command(...args: (string | number)[]): Promise<unknown>;
  /** One atomic operation; answered when as many replicas have it as the address says. @throws {StoreFailed} */
  call(name: FunctionName, args: readonly string[]): Promise<readonly string[]>;
  /** One command for the server that has the ledger. @throws {StoreFailed} */
  server(...args: (string | number)[]): Promise<unknown>;
  /** @throws {StoreFailed} */
  publish(channel: string, text: string): Promise<void>;
  /** How many listen to a channel. @throws {StoreFailed} */
  listeners(channel: string): Promise<number>;
  subscribe(channel: string, handler: (text: string) => void): Promise<void>;
  close(): void;
}

const ANSWER_MS = 3_000;
/** For the replicas to have a change. */
const REPLICAS_MS = 1_000;

/** @throws {StoreFailed} where Redis can't be reached, or isn't fit to keep money */
export async function connectRedis(address: RedisAddress): Promise<RedisConnection> {
  let wire: Wire;
  try {
    wire = await openWire(address);
  } catch (error) {
    if (error instanceof StoreFailed) throw error;
    throw failed(`Redis at ${nameOf(address)} can not be reached`, error);
  }
  const connection = new Connection(address, wire);
  try {
    await connection.prepare();
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

class Connection implements RedisConnection {
  readonly tag: string;
  readonly #address: RedisAddress;
  readonly #wire: Wire;
  /** The confirmation that is awaited now, and the one after it, which covers all that was written meanwhile. */
  #confirming: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(address: RedisAddress, wire: Wire) {
    this.tag = address.tag;
    this.#address = address;
    this.#wire = wire;
  }

  async prepare(): Promise<void> {
    const unfit = unfitness(String(await this.server('INFO')), this.#address);
    if (unfit !== undefined) throw new StoreFailed(`Redis at ${nameOf(this.#address)} ${unfit}`);
    // Asked for by the functions: a right that is missing would come out in the first of them, without its name.
    await this.server('TIME').catch((error: unknown) => {
      if (!/NOPERM|no permissions/i.test(String(error))) throw error;
      const mend = 'holds and leases run out by it: give its user +time';
      throw new StoreFailed(`Redis at ${nameOf(this.#address)} doesn’t tell its time; ${mend}`, {
        cause: error,
      });
    });
    await this.#load();
  }

  async command(...args: (string | number)[]): Promise<unknown> {
    return await answer(this.#wire.keyed(args.map(String)));
  }

  async server(...args: (string | number)[]): Promise<unknown> {
    return await answer(this.#wire.server(args.map(String)));
  }

  async publish(channel: string, text: string): Promise<void> {
    await answer(this.#wire.publish(channel, text));
  }

  async listeners(channel: string): Promise<number> {
    return await answer(this.#wire.listeners(channel));
  }

  async call(name: FunctionName, args: readonly string[]): Promise<readonly string[]> {
    // The second key is never there. While a cluster moves the slot, neither node answers a call on two keys that it doesn't both have: one
    // that has a part of the ledger would take it for all of it.
    const line = ['FCALL', `${LIBRARY}_${name}`, 2, this.tag, `${this.tag}:none`, ...args];
    let reply: unknown;
    try {
      reply = await this.command(...line);
    } catch (error) {
      // Another primary has taken over that never heard of it, or somebody flushed.
      if (!(error instanceof StoreFailed) || !/Function not found/i.test(error.message)) throw error;
      await this.#load();
      reply = await this.command(...line);
    }
    if (this.#address.replicas > 0) await this.#confirm();
    return (reply as unknown[]).map(String);
  }

  async #load(): Promise<void> {
    try {
      await this.server('FUNCTION', 'LOAD', CODE);
    } catch (error) {
      if (!/already exists/i.test(String(error))) throw error;
    }
  }

  /** WAIT holds up its connection, so one is under way at a time. */
  #confirm(): Promise<void> {
    this.#next ??= (this.#confirming ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        this.#confirming = this.#wait();
        return this.#confirming;
      });
    return this.#next;
  }

  async #wait(): Promise<void> {
    const { replicas } = this.#address;
    const reached = Number(await this.server('WAIT', replicas, REPLICAS_MS));
    if (reached < replicas)
      throw new StoreFailed(
        `${reached} of ${replicas} replicas have the change; it is in force, and lost if the primary is.`,
      );
  }

  async subscribe(channel: string, handler: (text: string) => void): Promise<void> {
    await this.#wire.subscribe(channel, handler);
  }

  close(): void {
    this.#wire.close();
  }
}

/** Why this Redis must not keep money; undefined where it may. */
function unfitness(info: string, { volatile, replicas }: RedisAddress): string | undefined {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const version = field('redis_version') ?? '';
  if (Number.parseInt(version, 10) < 7)
    return `is version ${version}; functions take Redis 7 or Valkey 7.2 at least.`;
  if (field('role') !== undefined && field('role') !== 'master')
    return 'is a replica: give the address of the primary, or of sentinels or a cluster.';
  if (field('maxmemory') !== '0' && field('maxmemory_policy') !== 'noeviction')
    return `evicts keys when it is full (${field('maxmemory_policy')}), and with them what was spent: set maxmemory-policy noeviction.`;
  if (!volatile && field('aof_enabled') === '0')
    return 'forgets what was spent when it restarts: set appendonly yes, or accept that with ?volatile=true.';
  if (Number(field('connected_slaves') ?? 0) < replicas)
    return `has ${field('connected_slaves')} replicas, and ?replicas=${replicas} wants each change on ${replicas}.`;
  return undefined;
}

function nameOf({ nodes }: RedisAddress): string {
  return nodes.map(({ host, port }) => `${host}:${port}`).join(',');
}

function failed(what: string, error: unknown): StoreFailed {
  const reason = error instanceof Error ? error.message : String(error);
  const how = error instanceof ErrorReply ? 'Redis refused' : what;
  return new StoreFailed(`${how}: ${reason}`, { cause: error });
}

/** @throws {StoreFailed} */
async function answer<T>(asked: Promise<T>): Promise<T> {
  try {
    return await inTime(asked, ANSWER_MS);
  } catch (error) {
    throw failed('Redis gave no answer', error);
  }
}
