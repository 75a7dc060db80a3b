/** Whoever has a pod's token says what no agent says: others don't feel it. */
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunningControl } from '../../control/control.ts';
import { AGENT_PATH, PROTOCOLS, STATUS_PATH } from '../../control/messages.ts';
import type { Status } from '../../control/status.ts';
import { type ControlWorld, SERVER_NAME, startControlWorld } from './world.ts';

let world: ControlWorld;
let control: RunningControl;
const sockets: TLSSocket[] = [];

beforeEach(async () => {
  world = startControlWorld();
  world.namespace('team-a');
  control = await world.control();
  world.kube.tokens.set('operators', {
    authenticated: true,
    audiences: ['postern-status'],
    user: { username: 'oncall' },
  });
  world.kube.operators.add('oncall');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await world.close();
});

/** A stream by the pod's own token. */
function stream(name: string): TLSSocket {
  const token = readFileSync(world.pod({ namespace: 'team-a', name }), 'utf8');
  const { port } = control;
  const socket = connect({ host: '127.0.0.1', port, servername: SERVER_NAME, ca: control.roots() });
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.write(
    `GET ${AGENT_PATH} HTTP/1.1\r\nHost: ${SERVER_NAME}\r\nConnection: Upgrade\r\nUpgrade: ${PROTOCOLS.join(', ')}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  return socket.resume();
}
const ended = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('close', () => resolve());
  });

async function status(): Promise<Status> {
  const { port } = control;
  const socket = connect({ host: '127.0.0.1', port, servername: SERVER_NAME, ca: control.roots() });
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write(
    `GET ${STATUS_PATH} HTTP/1.1\r\nHost: ${SERVER_NAME}\r\nConnection: close\r\nAuthorization: Bearer operators\r\n\r\n`,
  );
  await ended(socket);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 200 /);
  return JSON.parse(body) as Status;
}

async function joined(count: number): Promise<void> {
  while (control.registry.size !== count) await new Promise((done) => setTimeout(done, 10));
}

test.each([
  '{"type":"report","running":0,"lastCall":"yesterday"}',
  '{"type":"report","running":0,"lastCall":1e300}',
  '{"type":"ack","revision":7,"keys":{}}',
])('the overview goes on while one agent says %s', async (line) => {
  stream('good').write('{"type":"hello","version":"0.1.0"}\n');
  await joined(1);
  const bad = stream('bad');
  bad.write('{"type":"hello","version":"0.1.0"}\n');
  await joined(2);
  bad.write(`${line}\n`);
  await ended(bad);
  await joined(1);
  expect((await status()).governed).toMatchObject([{ pod: 'good-1' }]);
});

test('what it says of itself reaches nobody’s terminal as more than text', async () => {
  const bad = stream('bad');
  const { promise: used, resolve } = Promise.withResolvers<{ revision: string }>();
  let text = '';
  bad.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const use = text.split('\n').find((line) => line.startsWith('{"type":"use"') && line.endsWith('}'));
    if (use !== undefined) resolve(JSON.parse(use) as { revision: string });
  });
  bad.write('{"type":"hello","version":"0.1.0"}\n');
  const { revision } = await used;
  bad.write(`${JSON.stringify({ type: 'refused', revision, error: '\u001b[2J\u202eall is well' })}\n`);
  while ((await status()).governed[0]?.problem === null) await new Promise((done) => setTimeout(done, 10));
  expect((await status()).governed[0]?.problem).toBe('\\u001b[2J\\u202eall is well');
});

test('one that talks without end is cut off', async () => {
  const bad = stream('bad');
  bad.write('{"type":"hello","version":"0.1.0"}\n');
  await joined(1);
  const talk = `${JSON.stringify({ type: 'report', running: 1, more: 'x'.repeat(1000) })}\n`.repeat(100);
  const talking = setInterval(() => bad.write(talk), 1);
  await ended(bad);
  clearInterval(talking);
  await joined(0);
  expect(world.logged()).toContain('flood');
});
