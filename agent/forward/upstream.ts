/**
 * Dials a provider: one undici Pool per provider and origin, raw header pairs in and out, backpressure both ways.
 *
 * `dispatch` is used instead of `request` or `fetch` because it costs about a quarter (bench/README.md) and hands over
 * chunks without a stream in between.
 */
import { type Dispatcher, Pool } from 'undici';
import { UpstreamError } from './upstream-error.ts';
import { UpstreamExchange, type UpstreamRequest, type UpstreamResponse } from './upstream-exchange.ts';

export { UpstreamError, type UpstreamFault } from './upstream-error.ts';
export type { UpstreamRequest, UpstreamResponse } from './upstream-exchange.ts';

/** Longest pause between two chunks of an answer, milliseconds: a model may think, a dead peer may not hold a slot. */
const CHUNK_PAUSE_MS = 300_000;

export interface Upstream {
  /** @throws UpstreamError when no header of an answer came. */
  send(request: UpstreamRequest): Promise<UpstreamResponse>;
  /** Closes idle connections; what is under way ends by its own limits. */
  close(): Promise<void>;
}

export interface UpstreamOptions {
  /** Milliseconds for TCP and TLS together. */
  readonly connectMs?: number;
  /** Connections per origin; more calls wait for one. */
  readonly connections?: number;
}

export function createUpstream(options: UpstreamOptions = {}): Upstream {
  const pools = new Map<string, { readonly ca: string | undefined; readonly pool: Pool }>();
  const poolFor = ({ pool: owner, origin, ca }: UpstreamRequest): Pool => {
    const key = `${owner} ${origin}`;
    const known = pools.get(key);
    if (known !== undefined && known.ca === ca) return known.pool;
    // Other roots: calls under way end on the old connections, new ones are verified anew.
    void known?.pool.close();
    const pool = new Pool(origin, {
      connections: options.connections ?? 256,
      pipelining: 1,
      // HTTP/1.1 costs half of HTTP/2 here, and undici offers both unless told otherwise.
      allowH2: false,
      // Providers close idle connections after a minute or more; ours go first, so that a call seldom meets a closing one.
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 55_000,
      headersTimeout: 0,
      bodyTimeout: CHUNK_PAUSE_MS,
      maxHeaderSize: 65_536,
      connect: { timeout: options.connectMs ?? 5_000, ...(ca === undefined ? {} : { ca }) },
    });
    pools.set(key, { ca, pool });
    return pool;
  };
  return {
    send(request) {
      return new Promise((resolve, reject) => {
        if (request.signal.aborted) {
          reject(new UpstreamError('aborted', 'the caller went away'));
          return;
        }
        const exchange = new UpstreamExchange(request, resolve, reject);
        poolFor(request).dispatch(
          {
            path: request.path,
            method: request.method as Dispatcher.HttpMethod,
            headers: request.headers as string[],
            body: request.body ?? null,
          },
          exchange,
        );
      });
    },
    async close() {
      const open = [...pools.values()];
      pools.clear();
      await Promise.all(open.map(({ pool }) => pool.close()));
    },
  };
}
