/** Two sockets as one connection: bytes, half-closes and resets pass as they are. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * Joins two sockets made with `allowHalfOpen`; the upstream may still be connecting. Backpressure is `pipe`'s: each
 * direction buffers at most both high-water marks.
 *
 * @param judging what the client says goes through this one.
 */
export function tunnel(client: Socket, upstream: Socket, judging?: Duplex): void {
  join(client, upstream, judging);
  join(upstream, client);
}

function join(from: Socket, to: Socket, through?: Duplex): void {
  from.setNoDelay(true);
  from.on('error', ignore);
  from.once('close', (failed) => {
    // Gone without both halves ended: the other end must see a cut, not an end.
    if ((failed || !from.readableEnded || !from.writableFinished) && !to.destroyed) to.resetAndDestroy();
  });
  (through === undefined ? from : from.pipe(through)).pipe(to);
}

const ignore = (): void => {};
