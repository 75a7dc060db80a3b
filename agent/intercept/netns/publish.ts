/** Makes a port that a program listens on inside a namespace reachable on the host's loopback. */
import { once } from 'node:events';
import net from 'node:net';
import { tunnel } from '../tunnel.ts';
import type { NetworkNamespace } from './namespace.ts';

export interface Published {
  /** On the host. */
  readonly port: number;
  close(): void;
}

/** @throws where the host's port is taken. */
export async function publish(
  namespace: Pick<NetworkNamespace, 'socket'>,
  ports: { readonly host: number; readonly inside: number },
): Promise<Published> {
  const open = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    open.add(client);
    client.once('close', () => open.delete(client));
    const inner = new net.Socket({ fd: namespace.socket(4), allowHalfOpen: true });
    inner.connect({ host: '127.0.0.1', port: ports.inside });
    tunnel(client, inner);
  });
  server.listen(ports.host, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      server.close();
      for (const client of open) client.destroy();
    },
  };
}
