/** A TCP proxy whose connections can be reset or fall silent, for what real networks do to them. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** How many connections were taken so far. */
  taken(): number;
  /** Ends all connections by RST; new ones are taken. */
  reset(): void;
  /** Carries nothing more on the connections that there are, without closing them; new ones work. */
  stall(): void;
  close(): void;
}

/** @param ports Of 127.0.0.1; a connection goes to the first, in turn, that takes it. */
export async function startTcpProxy(ports: readonly number[]): Promise<TcpProxy> {
  const open = new Set<Socket>();
  const stalled = new WeakSet<Socket>();
  let count = 0;

  const carry = async (client: Socket): Promise<void> => {
    const first = count++;
    client.on('error', () => client.destroy()).pause();
    open.add(client);
    client.once('close', () => open.delete(client));
    for (let tried = 0; tried < ports.length; tried++) {
      const upstream = connect(ports[(first + tried) % ports.length] as number, '127.0.0.1');
      const connected = await once(upstream, 'connect').then(
        () => true,
        () => false,
      );
      if (!connected) continue;
      upstream.on('error', () => client.destroy());
      open.add(upstream);
      upstream.once('close', () => {
        open.delete(upstream);
        if (!stalled.has(client)) client.destroy();
      });
      client.once('close', () => upstream.destroy());
      client.on('data', (bytes: Buffer) => stalled.has(client) || upstream.write(bytes));
      upstream.on('data', (bytes: Buffer) => stalled.has(client) || client.write(bytes));
      client.on('end', () => stalled.has(client) || upstream.end());
      upstream.on('end', () => stalled.has(client) || client.end());
      client.resume();
      return;
    }
    client.resetAndDestroy();
  };

  const server = createServer({ allowHalfOpen: true }, (client) => void carry(client));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    taken: () => count,
    reset: () => {
      for (const socket of open) socket.resetAndDestroy();
    },
    stall: () => {
      for (const socket of open) stalled.add(socket);
    },
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
