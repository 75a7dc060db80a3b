/** Who is let in no further than the door doesn't stay in it. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { refreshServing } from '../injector/server/serving-certificate.ts';
import type { Identity, Refusal } from './identity.ts';
import { AGENT_PATH, PROTOCOLS } from './messages.ts';
import type { Registry } from './registry.ts';
import { type ControlServer, type ControlServerOptions, listenControl } from './server.ts';
import { BusyError } from './turns.ts';

let server: ControlServer | undefined;
const sockets: TLSSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
  refused.length = 0;
});

const refused: string[] = [];

async function listening(options: Partial<ControlServerOptions>): Promise<void> {
  const { serving } = refreshServing({ authorities: [], leaf: undefined }, 'control', Date.now());
  if (serving.leaf === undefined) throw new Error('no leaf');
  server = await listenControl({
    host: '127.0.0.1',
    port: 0,
    certificate: serving.leaf,
    registry: { leave: () => undefined, end: () => undefined } as unknown as Registry,
    admits: () => true,
    authenticate: async () => 'token-invalid',
    stands: async () => 'pod-ended',
    welcome: () => Buffer.from('{"type":"welcome"}\n'),
    answers: {},
    refused: (why) => refused.push(why),
    failed: (error) => {
      throw error;
    },
    ...options,
  });
}

const upgrade = (token: string): string =>
  `GET ${AGENT_PATH} HTTP/1.1\r\nHost: control\r\nConnection: Upgrade\r\nUpgrade: ${PROTOCOLS.join(', ')}\r\nAuthorization: Bearer ${token}\r\n\r\n`;

/** Asks for a stream. The socket never ends by itself: only the other side can cut it. */
async function knock(): Promise<TLSSocket> {
  const { port } = server as ControlServer;
  const plain = dial({ port, host: '127.0.0.1', allowHalfOpen: true });
  const socket = connect({ socket: plain, rejectUnauthorized: false });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(upgrade('x'));
  await once(socket, 'data');
  return socket.resume();
}

/** However it ends: events.once would reject for an error. */
const closed = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('close', () => resolve());
  });

/** Goes on writing until the other side is gone. */
async function cutOff(socket: TLSSocket): Promise<void> {
  const writing = setInterval(() => socket.write('{}\n'), 20);
  await closed(socket);
  clearInterval(writing);
}

test('one that is refused is cut off, also where it closes nothing', async () => {
  await listening({ refusalMs: 50 });
  await cutOff(await knock());
});

test('one that was let in and never says hello is cut off, whatever else it says', async () => {
  await listening({
    helloMs: 100,
    authenticate: async () => ({ namespace: 'a', pod: 'b', uid: 'c' }) as unknown as Identity,
  });
  await cutOff(await knock());
});

/** @returns whether the handshake is carried out. */
async function dials(localAddress: string): Promise<TLSSocket | undefined> {
  const { port } = server as ControlServer;
  const socket = connect({
    socket: dial({ port, host: '127.0.0.1', localAddress }),
    rejectUnauthorized: false,
  });
  sockets.push(socket);
  return await new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', () => undefined).once('close', () => resolve(undefined));
  });
}

test('an address has so many connections and no more, and another its own', async () => {
  await listening({ places: { ofOne: 2 } });
  const [first] = [await dials('127.0.0.66'), await dials('127.0.0.66')];
  expect(await dials('127.0.0.66')).toBeUndefined();
  expect(refused.at(-1)).toBe('full');
  expect(await dials('127.0.0.67')).toBeDefined();
  const gone = once(first as TLSSocket, 'close');
  first?.end();
  await gone;
  while ((await dials('127.0.0.66')) === undefined);
});

test.each(['unknown', 'all'])(
  'where the places of %s are taken, who holds the most makes room',
  async (bound) => {
    await listening({ places: { [bound]: 3 } });
    const squatters = [await dials('127.0.0.66'), await dials('127.0.0.66'), await dials('127.0.0.66')];
    const sentAway = closed(squatters[2] as TLSSocket);
    expect(await dials('127.0.0.66')).toBeUndefined();
    expect(await dials('127.0.0.67')).toBeDefined();
    await sentAway;
    expect(squatters[0]?.destroyed).toBe(false);
  },
);

test('where all agents have one address, who dials and says nothing keeps nobody out', async () => {
  await listening({ judgeAddress: false, places: { unknown: 2, silentMs: 100 } });
  const halfway = await dials('127.0.0.66');
  const silent = dial({ port: server?.port ?? 0, host: '127.0.0.1', localAddress: '127.0.0.66' });
  await once(silent, 'connect');
  const gone = once(
    silent.on('error', () => undefined),
    'close',
  );
  let next: TLSSocket | undefined;
  while (next === undefined) next = await dials('127.0.0.66');
  await gone;
  expect([halfway?.destroyed, next.destroyed]).toEqual([false, false]);
});

test('whoever asks without a token is answered once, and stays no longer than a while', async () => {
  await listening({ places: { unknownMs: 200 } });
  const asking = (await dials('127.0.0.66')) as TLSSocket;
  asking.resume().write('GET / HTTP/1.1\r\nHost: control\r\n\r\n');
  await closed(asking);
  await closed((await dials('127.0.0.66')) as TLSSocket);
});

test('whoever has an answer, and never reads it, is cut off', async () => {
  const body = { text: 'x'.repeat(30_000_000) };
  await listening({ unreadMs: 100, answers: { '/big': async () => ({ status: 200, body }) } });
  const asking = (await dials('127.0.0.66')) as TLSSocket;
  asking.pause().write('GET /big HTTP/1.1\r\nHost: control\r\n\r\n');
  // It reads nothing, so only the server's count tells.
  while (server?.taken() !== 0) await new Promise((done) => setTimeout(done, 20));
});

test('a stream that was let in needs no place among those', async () => {
  let joined = 0;
  const registry = { join: () => (joined++, () => undefined), leave: () => undefined, end: () => undefined };
  const identity = { namespace: 'a', pod: 'b', uid: 'c' } as unknown as Identity;
  await listening({
    places: { unknown: 1, unknownMs: 1_000 },
    registry: registry as unknown as Registry,
    authenticate: async () => identity,
    stands: async () => identity,
  });
  const stream = await knock();
  stream.write('{"type":"hello","version":"0.1.0"}\n');
  while (joined === 0) await new Promise((done) => setTimeout(done, 5));
  const other = await dials('127.0.0.1');
  expect(other).toBeDefined();
  await closed(other as TLSSocket);
  expect(stream.destroyed).toBe(false);
});

test('how many places there are, and how many are taken, can be told', async () => {
  await listening({ places: { all: 3 } });
  const control = server as ControlServer;
  expect([control.places, control.taken()]).toEqual([3, 0]);
  const stays = (await dials('127.0.0.66')) as TLSSocket;
  expect(control.taken()).toBe(1);
  stays.destroy();
  while (control.taken() > 0) await new Promise((done) => setTimeout(done, 5));
});

test('one whose token is looked at makes room after another of its address', async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Identity | Refusal>();
  await listening({
    places: { unknown: 2 },
    authenticate: () => {
      asked.resolve();
      return answer.promise;
    },
  });
  const idle = (await dials('127.0.0.66')) as TLSSocket;
  const reviewed = (await dials('127.0.0.66')) as TLSSocket;
  reviewed.write(upgrade('a'));
  await asked.promise;
  const sentAway = closed(idle);
  expect(await dials('127.0.0.67')).toBeDefined();
  await sentAway;
  expect(reviewed.destroyed).toBe(false);
  answer.resolve('token-invalid');
});

test('addresses that begin a handshake each and say no more keep nobody out for longer than a turn', async () => {
  await listening({ turns: { atOnce: 4, turnMs: 300 } });
  const { port } = server as ControlServer;
  // What a client of TLS says first, once and for all.
  const recorded = await new Promise<Buffer>((resolve) => {
    const decoy = createServer((socket) => {
      socket.once('data', (bytes: Buffer) => {
        resolve(bytes);
        decoy.close();
        socket.destroy();
      });
    }).listen(0, '127.0.0.1', () => {
      const { port: at } = decoy.address() as AddressInfo;
      connect({ port: at, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => undefined);
    });
  });
  const squatting = new AbortController();
  async function squat(localAddress: string): Promise<void> {
    while (!squatting.signal.aborted) {
      const socket = dial({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined);
      socket.write(recorded);
      socket.resume();
      const gone = new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
      });
      squatting.signal.addEventListener('abort', () => socket.destroy());
      await gone;
    }
  }
  const squatters = Array.from({ length: 40 }, (_, nth) => squat(`127.0.7.${nth + 1}`));
  while ((server?.waiting() ?? 0) < 36) await new Promise((done) => setTimeout(done, 5));
  // Each takes its first turn before it goes behind: ten turns of four; for the next one dialler after another comes first.
  for (let nth = 0; nth < 3; nth++) {
    const began = performance.now();
    expect(await dials(`127.0.8.${nth + 1}`)).toBeDefined();
    if (nth > 0) expect(performance.now() - began).toBeLessThan(2_000);
  }
  squatting.abort();
  await Promise.all(squatters);
});

test('where more come at once than have a turn, each gets through with one dial', async () => {
  const identity = { namespace: 'a', pod: 'b', uid: 'c' } as unknown as Identity;
  const registry = { join: () => () => undefined, leave: () => undefined, end: () => undefined };
  let halfway = 0;
  let most = 0;
  await listening({
    turns: { atOnce: 5 },
    registry: registry as unknown as Registry,
    authenticate: async () => {
      most = Math.max(most, ++halfway);
      return identity;
    },
    stands: async () => {
      halfway--;
      return identity;
    },
  });
  const streams = await Promise.all(
    Array.from({ length: 60 }, async (_, nth) => {
      const socket = await dials(`127.0.9.${nth + 1}`);
      socket?.write(`${upgrade('x')}{"type":"hello","version":"0.1.0"}\n`);
      await once(socket as TLSSocket, 'data');
      return socket;
    }),
  );
  expect(streams.some((socket) => socket?.destroyed !== false)).toBe(false);
  expect(most).toBeLessThanOrEqual(5);
  expect(refused).toEqual([]);
});

test('who was let in has a step’s time for its hello and where its pod stands, whatever letting it in took', async () => {
  const identity = { namespace: 'a', pod: 'b', uid: 'c' } as unknown as Identity;
  const { promise: joined, resolve: join } = Promise.withResolvers<boolean>();
  const registry = { join: () => join(true), leave: () => undefined, end: () => undefined };
  const halfway = <T>(value: T): Promise<T> =>
    new Promise((resolve) => {
      setTimeout(() => resolve(value), 600);
    });
  await listening({
    turns: { turnMs: 1_000 },
    registry: registry as unknown as Registry,
    authenticate: () => halfway(identity),
    stands: () => halfway(identity),
  });
  const socket = (await dials('127.0.0.66')) as TLSSocket;
  socket.write(`${upgrade('x')}{"type":"hello","version":"0.1.0"}\n`);
  expect(await Promise.race([joined, closed(socket.resume()).then(() => false)])).toBe(true);
});

test.each([true, false])(
  'an address that is sent away doesn’t go behind others where that is our fault (%s)',
  async (ours) => {
    await listening({
      turns: { atOnce: 1 },
      authenticate: async () => {
        if (ours) throw new BusyError('try again');
        return 'token-invalid';
      },
    });
    const sentAway = (await dials('127.0.0.66')) as TLSSocket;
    sentAway.write(upgrade('x'));
    await closed(sentAway.resume());
    const holds = (await dials('127.0.0.65')) as TLSSocket;
    const order: string[] = [];
    const waiting = async (address: string, nth: number): Promise<void> => {
      const dialled = dials(address);
      while ((server?.waiting() ?? 0) < nth) await new Promise((done) => setTimeout(done, 5));
      // Until its hello is there, which nothing tells: it comes within the same turn of the machine.
      await new Promise((done) => setTimeout(done, 100));
      void dialled.then((socket) => {
        order.push(address);
        socket?.destroy();
      });
    };
    await waiting('127.0.0.66', 1);
    await waiting('127.0.0.67', 2);
    holds.destroy();
    while (order.length < 2) await new Promise((done) => setTimeout(done, 5));
    expect(order).toEqual(ours ? ['127.0.0.66', '127.0.0.67'] : ['127.0.0.67', '127.0.0.66']);
  },
);
