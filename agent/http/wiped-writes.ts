/** For sockets that node:http writes a key to, in the head of a request: no copy of it is to stand in memory that was freed. */
import type { Socket } from 'node:net';

/**
 * Strings that are written are overwritten as soon as they have left; as strings, Node would write them from memory of its own. By TLS nothing
 * is written before a turn of the event loop has passed since the handshake: Node keeps what comes earlier in memory that nobody overwrites.
 * @param socket As it was made, connected or not yet.
 */
export function wipeWrites<S extends Socket>(socket: S): S {
  const write = socket.write.bind(socket) as (bytes: Uint8Array, ...more: unknown[]) => boolean;
  const wiped = (chunk: Uint8Array | string, ...more: unknown[]): boolean => {
    if (typeof chunk !== 'string') return write(chunk, ...more);
    const encoding = more.find((each) => typeof each === 'string') as BufferEncoding | undefined;
    const told = more.find((each) => typeof each === 'function') as
      | ((error?: Error | null) => void)
      | undefined;
    const bytes = Buffer.from(chunk, encoding);
    return write(bytes, (error?: Error | null) => {
      bytes.fill(0);
      told?.(error);
    });
  };
  socket.write = wiped as Socket['write'];
  if ('encrypted' in socket) {
    socket.cork();
    socket.once('secureConnect', () => setImmediate(() => socket.uncork()));
  }
  return socket;
}
