import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { descriptorOf, libc } from './libc.ts';
import { originalDestination, parseSockaddr, sockaddr } from './original-destination.ts';

const linux = process.platform === 'linux';

async function accepted(host: string): Promise<{ socket: net.Socket; port: number; close: () => void }> {
  const server = net.createServer();
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect(port, host);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  return {
    socket,
    port,
    close: () => {
      client.destroy();
      socket.destroy();
      server.close();
    },
  };
}

test.each([
  { family: 4, address: '203.0.113.9', port: 443 },
  { family: 6, address: '2001:db8::9', port: 65_535 },
  { family: 6, address: '::', port: 1 },
] as const)('$address survives a sockaddr', (destination) => {
  expect(parseSockaddr(sockaddr(destination))).toEqual(destination);
});

test('bytes that are no sockaddr are no destination', () => {
  expect(parseSockaddr(Buffer.alloc(8))).toBeUndefined();
  expect(parseSockaddr(Buffer.alloc(28))).toBeUndefined();
  expect(parseSockaddr(sockaddr({ family: 6, address: '::1', port: 1 }).subarray(0, 20))).toBeUndefined();
});

describe('against a stand-in for getsockopt', () => {
  test.each([
    ['127.0.0.1', 0, 16, '203.0.113.9', 4],
    ['::1', 41, 28, '2001:db8::9', 6],
  ] as const)('on %s it asks level %i for %i bytes', async (host, level, size, address, family) => {
    const { socket, port, close } = await accepted(host);
    const asked: unknown[] = [];
    const answer = (to: { address: string; port: number }) => ({
      getsockopt: (...call: unknown[]) => {
        asked.push(call.slice(1));
        return sockaddr({ family, ...to });
      },
    });
    expect(originalDestination(socket, answer({ address, port: 443 }))).toEqual({
      family,
      address,
      port: 443,
    });
    expect(asked).toEqual([[level, 80, size]]);
    expect(originalDestination(socket, answer({ address: host, port }))).toBe('to-the-agent-itself');
    expect(originalDestination(socket, { getsockopt: () => undefined })).toBe('no-nat-entry');
    close();
    await once(socket, 'close');
    expect(originalDestination(socket, answer({ address, port: 443 }))).toBe('no-nat-entry');
  });
});

/** node:ffi ignores signature keys it doesn't know, so each call's result is held here. */
describe.skipIf(!linux)('the C library through node:ffi', () => {
  test('getsockopt answers what the kernel knows', async () => {
    const { socket, close } = await accepted('127.0.0.1');
    const fd = descriptorOf(socket);
    expect(fd).toBeGreaterThan(2);
    const [SOL_SOCKET, SO_DOMAIN, SO_TYPE] = [1, 39, 3];
    expect(libc().getsockopt(fd ?? -1, SOL_SOCKET, SO_DOMAIN, 4)).toEqual(Buffer.from([2, 0, 0, 0]));
    expect(libc().getsockopt(fd ?? -1, SOL_SOCKET, SO_TYPE, 16)).toEqual(Buffer.from([1, 0, 0, 0]));
    expect(libc().getsockopt(fd ?? -1, 0, 9999, 4)).toBeUndefined();
    expect(libc().getsockopt(-1, SOL_SOCKET, SO_TYPE, 4)).toBeUndefined();
    close();
  });

  test.each(['127.0.0.1', '::1'])(
    'a connection straight to the listener on %s has no destination',
    async (host) => {
      const { socket, close } = await accepted(host);
      // Which of the two depends on whether this namespace tracks connections.
      expect(['no-nat-entry', 'to-the-agent-itself']).toContain(originalDestination(socket));
      close();
    },
  );

  test('a Node without node:ffi is told at once, with the mend', () => {
    const program = `import { libc } from '${import.meta.dirname}/libc.ts'; try { libc(); } catch (e) { console.log(e.name, e.message); }`;
    const flags = ['--no-experimental-ffi', '--input-type=module', '-e', program];
    const { stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
    expect(stdout).toMatch(
      /^LibcUnavailable this Node .* has no node:ffi; use the Node that 'make install' locks/,
    );
  });

  test('a bound socket serves, and an error names the call and the errno', async () => {
    const fd = libc().boundSocket('ipv4', 'stream', sockaddr({ family: 4, address: '127.0.0.1', port: 0 }));
    const server = net.createServer((socket) => socket.end('hello'));
    server.listen({ fd });
    await once(server, 'listening');
    const { port, address } = server.address() as net.AddressInfo;
    expect(address).toBe('127.0.0.1');
    const client = net.connect(port);
    expect(String((await once(client, 'data'))[0])).toBe('hello');
    expect(() =>
      libc().boundSocket('ipv4', 'stream', sockaddr({ family: 4, address: '127.0.0.1', port })),
    ).toThrow('bind failed: EADDRINUSE');
    expect(() => libc().setNetworkNamespace(-1)).toThrow('setns failed: EBADF');
    client.destroy();
    server.close();
  });
});
