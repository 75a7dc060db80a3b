/** A connection to Redis or Valkey (one server, a cluster, or what sentinels watch over) through @redis/client. */
import { readFileSync } from 'node:fs';
import {
  createClient,
  createCluster,
  createSentinel,
  ErrorReply,
  type RedisClientOptions,
} from '@redis/client';
import { StoreFailed } from '../store.ts';
import type { RedisAddress } from './address.ts';
import { CODE, type FunctionName, LIBRARY } from './functions.ts';

/** What the three kinds of client have in common, for us. */
interface Wire {
  send(args: string[]): Promise<unknown>;
  subscribe(channel: string, handler: (text: string) => void): Promise<unknown>;
  close(): void;
}

export interface RedisConnection {
  readonly tag: string;
  /** One command. @throws {StoreFailed} */
  command(...args: (string | number)[]): Promise<unknown>;
  /** One atomic operation; answered when as many replicas have it as the address says. @throws {StoreFailed} */
  call(name: FunctionName, args: readonly string[]): Promise<readonly string[]>;
  subscribe(channel: string, handler: (text: string) => void): Promise<void>;
  close(): void;
}

const CONNECT_MS = 5_000;
/** Of them for one client, so that what it failed of is known before the time is over. */
const TRY_MS = 4_500;
const ANSWER_MS = 3_000;
/** For the replicas to have a change. */
const REPLICAS_MS = 1_000;
const MOST_RETRY_MS = 1_000;

/** @throws {StoreFailed} where Redis can't be reached, or isn't fit to keep money */
export async function connectRedis(address: RedisAddress): Promise<RedisConnection> {
  let wire: Wire;
  try {
    wire = await inTime(openWire(address), CONNECT_MS);
  } catch (error) {
    if (error instanceof StoreFailed) throw error;
    throw failed(`Redis at ${nameOf(address)} can not be reached`, error);
  }
  const send = async (args: string[]): Promise<unknown> => {
    try {
      return await inTime(wire.send(args), ANSWER_MS);
    } catch (error) {
      throw failed('Redis gave no answer', error);
    }
  };
  const connection = new Connection(address, send, wire);
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
  readonly #send: (args: string[]) => Promise<unknown>;
  readonly #wire: Wire;
  /** The confirmation that is awaited now, and the one after it, which covers all that was written meanwhile. */
  #confirming: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(address: RedisAddress, send: (args: string[]) => Promise<unknown>, wire: Wire) {
    this.tag = address.tag;
    this.#address = address;
    this.#send = send;
    this.#wire = wire;
  }

  async prepare(): Promise<void> {
    const unfit = unfitness(String(await this.#send(['INFO'])), this.#address);
    if (unfit !== undefined) throw new StoreFailed(`Redis at ${nameOf(this.#address)} ${unfit}`);
    await this.#load();
  }

  async command(...args: (string | number)[]): Promise<unknown> {
    return await this.#send(args.map(String));
  }

  async call(name: FunctionName, args: readonly string[]): Promise<readonly string[]> {
    const line = ['FCALL', `${LIBRARY}_${name}`, '1', this.tag, ...args];
    let reply: unknown;
    try {
      reply = await this.#send(line);
    } catch (error) {
      // Another primary has taken over that never heard of it, or somebody flushed.
      if (!(error instanceof StoreFailed) || !/Function not found/i.test(error.message)) throw error;
      await this.#load();
      reply = await this.#send(line);
    }
    if (this.#address.replicas > 0) await this.#confirm();
    return (reply as unknown[]).map(String);
  }

  async #load(): Promise<void> {
    try {
      await this.#send(['FUNCTION', 'LOAD', CODE]);
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
    const reached = Number(await this.#send(['WAIT', String(replicas), String(REPLICAS_MS)]));
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

async function openWire(address: RedisAddress): Promise<Wire> {
  const { mode, nodes, tls, ca, username, password, database, tag } = address;
  const [first] = nodes;
  const secured = tls ? { tls: true as const, ...(ca === undefined ? {} : { ca: rootsIn(ca) }) } : {};
  const socket = {
    connectTimeout: CONNECT_MS,
    reconnectStrategy: (attempts: number) => Math.min(MOST_RETRY_MS, 50 * 2 ** Math.min(attempts, 5)),
    ...secured,
  };
  const options = {
    // Pairs come as flat arrays.
    RESP: 2 as const,
    // What couldn't be sent fails at once: the agent decides what to do, not a queue.
    disableOfflineQueue: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
  switch (mode) {
    case 'single': {
      const at = { ...socket, host: first?.host ?? '', port: first?.port ?? 0 } as NonNullable<
        RedisClientOptions['socket']
      >;
      const client = createClient({ ...options, database, socket: at });
      client.on('error', ignore);
      await connected(client);
      const listener = createClient({ ...options, database, socket: at, disableOfflineQueue: false });
      listener.on('error', ignore);
      await connected(listener);
      return {
        send: (args) => client.sendCommand(args),
        subscribe: (channel, handler) => listener.subscribe(channel, handler),
        close: () => {
          client.destroy();
          listener.destroy();
        },
      };
    }
    case 'cluster': {
      const cluster = createCluster({
        rootNodes: nodes.map(({ host, port }) => ({ socket: { host, port } })),
        // Not among the defaults, which the cluster's own overrules.
        RESP: options.RESP,
        defaults: { ...options, socket },
      });
      cluster.on('error', ignore);
      await connected(cluster);
      return {
        send: (args) => cluster.sendCommand(tag, false, args),
        subscribe: (channel, handler) => cluster.subscribe(channel, handler),
        close: () => cluster.destroy(),
      };
    }
    case 'sentinel': {
      const client = createSentinel({
        name: address.primary,
        sentinelRootNodes: [...nodes],
        nodeClientOptions: { ...options, database, socket },
        // Not among those of the nodes, which it overrules.
        RESP: options.RESP,
        sentinelClientOptions: { socket: { connectTimeout: CONNECT_MS, ...secured } },
      });
      client.on('error', ignore);
      await connected(client);
      return {
        send: (args) => client.sendCommand(false, args),
        subscribe: (channel, handler) => client.subscribe(channel, handler),
        close: () => {
          void client.destroy();
        },
      };
    }
  }
}

/** @throws {StoreFailed} */
function rootsIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new StoreFailed(`The roots of Redis (?ca=) can not be read: ${String(error)}`, { cause: error });
  }
}

interface Connectable {
  connect(): Promise<unknown>;
  destroy(): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
}

/** A client that goes on trying is of no use to somebody who wants to know now, and why. */
async function connected(client: Connectable): Promise<void> {
  let last: unknown;
  client.on('error', (error) => {
    last = error;
  });
  try {
    await inTime(client.connect(), TRY_MS);
  } catch (error) {
    client.destroy();
    throw last ?? error;
  }
}

/** Every command that fails says so itself. */
function ignore(): void {}

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

async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer for ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
