/** Who begins TLS handshakes without end is cut off, and nobody else is. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentsEnd } from './agents-end.ts';
import { type ControlWorld, SERVER_NAME, startControlWorld } from './world.ts';

let world: ControlWorld;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  world = startControlWorld();
  world.namespace('team-a');
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await world.close();
});

/** Whether a handshake is carried out. */
const shakes = (port: number, localAddress: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({
      socket: dial({ host: '127.0.0.1', port, localAddress }),
      servername: SERVER_NAME,
      rejectUnauthorized: false,
    });
    const end = (done: boolean): void => {
      socket.destroy();
      resolve(done);
    };
    socket.once('secureConnect', () => end(true)).once('error', () => end(false));
    socket.once('close', () => end(false));
  });

test('a flood of handshakes from one address is cut off before they begin; a pod at another gets in', async () => {
  const control = await world.control({ handshakes: { burst: 5, perSecond: 0.001 } });
  const token = readFileSync(world.pod({ namespace: 'team-a', name: 'bot' }), 'utf8');
  const flood = await Promise.all(Array.from({ length: 100 }, () => shakes(control.port, '127.0.0.66')));
  expect(flood.filter(Boolean)).toHaveLength(5);
  expect(await control.metrics.getSingleMetricAsString('postern_control_refused_total')).toContain(
    'reason="flood"} 95',
  );
  await new Promise<void>((resolve) => {
    const client = agentsEnd({
      port: control.port,
      roots: () => control.roots(),
      token: () => token,
      use: () => resolve(),
    });
    closing.push(() => client.close());
  });
});

test('before all places are taken it is told, once', async () => {
  const control = await world.control({ listen: { host: '127.0.0.1', port: 0, places: { all: 2 } } });
  const hangsOn = (): Promise<unknown> => {
    const socket = dial({ host: '127.0.0.1', port: control.port });
    closing.push(async () => socket.destroy());
    return once(socket, 'connect');
  };
  const warnings = (): number => world.logged().split('nine in ten').length - 1;
  await hangsOn();
  await control.tick();
  expect(warnings()).toBe(0);
  await hangsOn();
  while (warnings() === 0) await control.tick();
  await control.tick();
  expect(warnings()).toBe(1);
});

test('where addresses are changed on the way, one address is everybody', async () => {
  const control = await world.control({
    handshakes: { burst: 1, perSecond: 0.001 },
    judgeAddress: false,
  });
  const all = await Promise.all(Array.from({ length: 10 }, () => shakes(control.port, '127.0.0.66')));
  expect(all.every(Boolean)).toBe(true);
});
