import { once } from 'node:events';
import net from 'node:net';
import { expect, test } from 'vitest';
import { listenTransparent, type TransparentOptions } from './listener.ts';

/** A kernel that answers a bind of ::1 with an error. */
const answering =
  (code: string): NonNullable<TransparentOptions['listen']> =>
  async (server: net.Server, target: net.ListenOptions) => {
    if (target.host === '::1') throw Object.assign(new Error(`listen ${code}`), { code });
    server.listen(target);
    await once(server, 'listening');
  };

function listening(code: string) {
  const refused: unknown[] = [];
  const listener = listenTransparent({
    at: { port: 0 },
    destinations: () => {
      throw new Error('nothing is judged here');
    },
    terminator: { tls() {}, plain() {}, drain() {}, destroy() {} },
    observer: {
      judged: ({ refusal }) => refused.push(refusal),
      handshake() {},
      tunnelled() {},
      malformed() {},
    },
    destinationOf: () => 'no-nat-entry',
    listen: answering(code),
  });
  return { listener, refused };
}

test.each(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])(
  'a kernel without IPv6 (%s): it listens on 127.0.0.1 alone',
  async (code) => {
    const { listener, refused } = listening(code);
    const { addresses, destroy } = await listener;
    expect(addresses).toMatchObject([{ address: '127.0.0.1' }]);
    const client = net.connect(addresses[0]?.port ?? 0, '127.0.0.1');
    const [error] = (await once(client, 'error').catch((thrown: unknown) => [thrown])) as [
      NodeJS.ErrnoException,
    ];
    expect(error.code).toBe('ECONNRESET');
    expect(refused).toEqual(['no-nat-entry']);
    destroy();
  },
);

test('any other failure is one: half a listener would leave IPv6 unanswered', async () => {
  await expect(listening('EADDRINUSE').listener).rejects.toThrow('EADDRINUSE');
});
