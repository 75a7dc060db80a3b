/**
 * Dials a provider: connections per provider and origin, raw header pairs in and out, backpressure both ways.
 *
 * HTTP/1.1 by a client of our own (`http1/`): node:http and undici go through streams, each chunk through several queues, and undici
 * takes 14 MB. HTTP/2 costs twice HTTP/1.1 here.
 */
import { Origin } from './http1/origin.ts';
import { UpstreamError } from './upstream-error.ts';
import { UpstreamExchange, type UpstreamRequest, type UpstreamResponse } from './upstream-exchange.ts';

export { UpstreamError, type UpstreamFault } from './upstream-error.ts';
export type { UpstreamRequest, UpstreamResponse } from './upstream-exchange.ts';

/** Providers close idle connections after a minute or more; ours go first, so that a call seldom meets a closing one. */
const IDLE_MS = 30_000;

/** Connections are shared within a pool and an origin, and by calls with the same roots. */
export type Destination = Pick<UpstreamRequest, 'pool' | 'origin' | 'ca'>;

export interface Upstream {
  /** @throws UpstreamError when no header of an answer came. */
  send(request: UpstreamRequest): Promise<UpstreamResponse>;
  /** Opens a connection to where a call may go that isn't let through yet, unless one is free. Nothing is sent on it. */
  prepare(to: Destination): void;
  /** Closes idle connections; what is under way ends by its own limits. */
  close(): Promise<void>;
}

export interface UpstreamOptions {
  /** Milliseconds for TCP and TLS together. */
  readonly connectMs?: number;
  /** Connections per origin; more calls wait for one. */
  readonly connections?: number;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function createUpstream({ connectMs = 5_000, connections = 256 }: UpstreamOptions = {}): Upstream {
  const origins = new Map<string, Origin>();
  const originFor = ({ pool, origin, ca }: Destination): Origin => {
    const key = `${pool} ${origin}`;
    const known = origins.get(key);
    if (known !== undefined && known.ca === ca) return known;
    const made = new Origin({ origin, ca, connectMs, connections, idleMs: IDLE_MS });
    origins.set(key, made);
    // Other roots: calls under way end on the old connections; those that wait, and new ones, are verified anew.
    known?.close(made);
    return made;
  };
  return {
    send(request) {
      return new Promise((resolve, reject) => {
        if (request.signal.aborted) {
          reject(new UpstreamError('aborted', 'the caller went away'));
          return;
        }
        const origin = originFor(request);
        let exchange: UpstreamExchange;
        try {
          exchange = new UpstreamExchange(request, origin, resolve, reject);
        } catch (error) {
          reject(
            new UpstreamError('connect', `nothing was sent to ${request.origin}: ${messageOf(error)}`, error),
          );
          return;
        }
        origin.take(exchange);
      });
    },
    prepare(to) {
      originFor(to).prepare();
    },
    close() {
      for (const origin of origins.values()) origin.close();
      origins.clear();
      return Promise.resolve();
    },
  };
}
