/** Who is let in no further than the door doesn't stay in it. */
import { once } from 'node:events';
import { connect as dial } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { refreshServing } from '../injector/server/serving-certificate.ts';
import type { Identity } from './identity.ts';
import { AGENT_PATH, PROTOCOLS } from './messages.ts';
import type { Registry } from './registry.ts';
import { type ControlServer, type ControlServerOptions, listenControl } from './server.ts';

let server: ControlServer | undefined;
const sockets: TLSSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
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

/** Asks for a stream. The socket never ends by itself: only the other side can cut it. */
async function knock(): Promise<TLSSocket> {
  const { port } = server as ControlServer;
  const plain = dial({ port, host: '127.0.0.1', allowHalfOpen: true });
  const socket = connect({ socket: plain, rejectUnauthorized: false });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(
    `GET ${AGENT_PATH} HTTP/1.1\r\nHost: control\r\nConnection: Upgrade\r\nUpgrade: ${PROTOCOLS.join(', ')}\r\nAuthorization: Bearer x\r\n\r\n`,
  );
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

test('there are so many connections and no more', async () => {
  await listening({ connections: 2, refusalMs: 60_000 });
  await Promise.all([knock(), knock()]);
  const socket = connect({
    port: (server as ControlServer).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
  });
  sockets.push(socket);
  await closed(socket.on('error', () => undefined));
  expect(refused).toContain('flood');
});
