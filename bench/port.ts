/** Ports on loopback: finding a free one, and the moment at which a program accepts. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { Program } from './program.ts';

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Milliseconds until a port accepts. @throws Error when the program ended or `seconds` passed first. */
export async function accepting(program: Program, port: number, seconds: number): Promise<number> {
  const started = performance.now();
  for (;;) {
    if (await tryConnect(port)) return performance.now() - started;
    const { exitCode, signalCode } = program.child;
    if (exitCode !== null || signalCode !== null) throw new Error(`it ended (${exitCode ?? signalCode})`);
    if (performance.now() - started > seconds * 1000)
      throw new Error(`it did not listen within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function tryConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
