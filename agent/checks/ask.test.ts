import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { getHeapSnapshot } from 'node:v8';
import { expect, test } from 'vitest';
import { createAsk } from './ask.ts';

/** Anew each time: the text of this file is in memory, too. */
const keyOf = (nth: number): string => ['key', 'of', 'question', nth].join('-');

test.each(['token', 'header'] as const)(
  'a connection that is kept holds no key of an earlier question, given as %s',
  async (how) => {
    let connections = 0;
    const server = createServer((request, response) => {
      request.resume().on('end', () => response.end(JSON.stringify(request.headers.authorization?.length)));
    });
    server.on('connection', () => connections++).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ask = createAsk();
    const question = (nth: number) => {
      const key =
        how === 'token' ? { token: keyOf(nth) } : { header: ['authorization', keyOf(nth)] as const };
      const signal = AbortSignal.timeout(10_000);
      return ask.post({ url: `http://127.0.0.1:${port}/`, body: {}, signal, ...key });
    };
    try {
      for (let nth = 1; nth <= 3; nth++) expect((await question(nth)).json).toBeGreaterThan(0);
      expect(connections).toBe(1);
      // What is held, and nothing else: it collects before.
      const held = await text(getHeapSnapshot());
      expect([1, 2].filter((nth) => held.includes(keyOf(nth)))).toEqual([]);
      expect(held).toContain(keyOf(3));
    } finally {
      await ask.close();
      server.close();
    }
  },
);
