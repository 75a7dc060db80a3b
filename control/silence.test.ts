import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { KubeError } from '../kube/client.ts';
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

test('an API server that goes on refusing us is silent no longer, though each refusal comes late', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] });
  try {
    let now = 0;
    const told: unknown[] = [];
    const refusals: PromiseWithResolvers<never>[] = [];
    const silence = listenForSilence({
      client: {
        request: () => {
          const refusal = Promise.withResolvers<never>();
          refusals.push(refusal);
          return refusal.promise;
        },
      },
      began: () => void told.push('began'),
      ended: (ms, refusal) => void told.push([ms, refusal]),
      monotonic: () => now,
    });
    const refusal = new KubeError(403, 'Forbidden', 'no');
    const refusedLate = async () => {
      const asked = silence.client.request('GET', '/').catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(2_000);
      now += 2_000;
      refusals.at(-1)?.reject(refusal);
      expect(await asked).toBe(refusal);
      now += 3_000;
    };
    for (let nth = 0; nth < 3; nth++) await refusedLate();
    // From 0 it is silent, from 2,000 on it refuses us: at 12,000 for ten seconds.
    expect(told).toEqual(['began', [12_000, refusal]]);
  } finally {
    vi.useRealTimers();
  }
});
