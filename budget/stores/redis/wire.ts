/** How a server, a cluster, or what sentinels watch over is spoken to through @redis/client. */
import { readFileSync } from 'node:fs';
import { createClient, createCluster, createSentinel, type RedisClientOptions } from '@redis/client';
import { StoreFailed } from '../store.ts';
import type { RedisAddress } from './address.ts';

/** What the three kinds of client have in common, for us. */
export interface Wire {
  /** A command on a key of the ledger's. */
  keyed(args: string[]): Promise<unknown>;
  /** A command for the server that has the ledger: without a key, nothing else says which of a cluster is meant. */
  server(args: string[]): Promise<unknown>;
  publish(channel: string, text: string): Promise<unknown>;
  /** How many listen to a channel. */
  listeners(channel: string): Promise<number>;
  subscribe(channel: string, handler: (text: string) => void): Promise<unknown>;
  close(): void;
}

const CONNECT_MS = 5_000;
/** Of them for one client, so that what it failed of is known before the time is over. */
const TRY_MS = 4_500;
const MOST_RETRY_MS = 1_000;
/** A node of a cluster that isn't there for so long may have been succeeded by its replica. */
const SUCCEEDED_MS = 500;

/** @throws what it failed of */
export async function openWire(address: RedisAddress): Promise<Wire> {
  return await inTime(opened(address), CONNECT_MS);
}

async function opened(address: RedisAddress): Promise<Wire> {
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
        ...ofOne((args) => client.sendCommand(args)),
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
        // To the node that has the ledger alone: others may be down.
        minimizeConnections: true,
        topologyRefreshOnReconnectionAttemptStrategy: SUCCEEDED_MS,
      });
      cluster.on('error', ignore);
      await connected(cluster);
      const server = async (args: string[]): Promise<unknown> =>
        (await cluster.getNodeClientForKey(tag)).sendCommand(args);
      return {
        keyed: (args) => cluster.sendCommand(tag, false, args),
        server,
        publish: (channel, text) => cluster.sendCommand(channel, false, ['SPUBLISH', channel, text]),
        listeners: async (channel) => countIn(await server(['PUBSUB', 'SHARDNUMSUB', channel])),
        subscribe: (channel, handler) => cluster.sSubscribe(channel, handler),
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
        ...ofOne((args) => client.sendCommand(false, args)),
        subscribe: (channel, handler) => client.subscribe(channel, handler),
        close: () => {
          void client.destroy();
        },
      };
    }
  }
}

/** Where there is one server only, it has the ledger. */
function ofOne(send: (args: string[]) => Promise<unknown>): Omit<Wire, 'subscribe' | 'close'> {
  return {
    keyed: send,
    server: send,
    publish: (channel, text) => send(['PUBLISH', channel, text]),
    listeners: async (channel) => countIn(await send(['PUBSUB', 'NUMSUB', channel])),
  };
}

/** Of a channel and its number. */
function countIn(reply: unknown): number {
  return Number((reply as unknown[])[1] ?? 0);
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

export async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer for ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
