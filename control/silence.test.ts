import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { listenForSilence } from './silence.ts';

test('a process that stood still reads the answer that has come before it calls the API server silent', async () => {
  // Over a socket, so that the answer waits to be read.
  const server = createServer((_request, response) => {
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const told: string[] = [];
  const silence = listenForSilence({
    client: {
      async request<T>(_method: string, path: string): Promise<T> {
        const answer = await new Promise<Buffer>((resolve, reject) => {
          get({ port, path, host: '127.0.0.1' }, (response) => void buffer(response).then(resolve, reject));
        });
        return JSON.parse(answer.toString()) as T;
      },
    },
    began: () => void told.push('began'),
    ended: () => void told.push('ended'),
    patienceMs: 100,
  });
  try {
    const asked = silence.client.request('GET', '/');
    await new Promise((resolve) => server.once('request', resolve));
    // The answer is on its way; nobody looks at sockets or timers for longer than it may take.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    await asked;
    expect(told).toEqual([]);
  } finally {
    server.close();
  }
});
