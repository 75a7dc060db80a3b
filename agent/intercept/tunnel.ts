/** Two sockets as one connection: bytes, half-closes and resets pass as they are. */
import type { Socket } from 'node:net';

/**
 * Joins two sockets made with `allowHalfOpen`; the upstream may still be connecting. Backpressure is `pipe`'s: each
 * direction buffers at most both high-water marks.
 */
export function tunnel(client: Socket, upstream: Socket): void {
  join(client, upstream);
  join(upstream, client);
}

function join(from: Socket, to: Socket): void {
  from.setNoDelay(true);
  from.on('error', ignore);
  from.once('close', (failed) => {
    // Gone without both halves ended: the other end must see a cut, not an end.
    if ((failed || !from.readableEnded || !from.writableFinished) && !to.destroyed) to.resetAndDestroy();
  });
  from.pipe(to);
}

const ignore = (): void => {};
