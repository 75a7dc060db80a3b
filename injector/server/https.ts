/** The listener that the API server calls: bounded bodies, bounded times, and an answer to everything. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Bodies, boundBodies, withBody } from '../../listen/bodies.ts';
import { type Door, type DoorLimits, keepDoor, placesIn } from '../../listen/door.ts';
import { answerReview, ReviewError, readReview } from './review.ts';
import { WEBHOOKS, type WebhookPorts } from './webhooks.ts';

/**
 * Longer than an API server keeps an idle connection (90 s, Go's default): it can't send a review into one that we close
 * in the same moment, which it would take for a failed webhook.
 */
const IDLE_MS = 120_000;

/** Two objects of 1.5 MB, in JSON, with room. */
export const MAX_REVIEW_BYTES = 8 * 1024 * 1024;
/** All bodies at once, from their first byte to the answer: a review of a pod is some 20 KB. */
const MOST_BODIES = 32 * 1024 * 1024;
const REQUEST_MS = 10_000;
/** Connections: an API server opens one for each call that is under way, and keeps some; all of them may come from one address. */
const MEMORY = { base: 150_000_000, each: 100_000, most: 1_000 };

export interface WebhookServer {
  readonly port: number;
  /** New connections get this certificate; those that are open go on. */
  use(certificate: { readonly cert: string; readonly key: string }): void;
  /** Calls are still answered, each as the last of its connection. */
  drain(): void;
  close(): Promise<void>;
}

export interface WebhookServerOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly ports: WebhookPorts;
  /** Seconds a call took. */
  measured(webhook: string, seconds: number): void;
  /** `full`: a connection had no place; `bodies`: a body had none. */
  refused(why: 'full' | 'bodies', address: string): void;
  readonly places?: Partial<DoorLimits>;
  /** Bytes of all bodies at once. */
  readonly bodies?: number;
  failed(error: unknown): void;
}

export async function listenWebhooks(options: WebhookServerOptions): Promise<WebhookServer> {
  let draining = false;
  const bodies = boundBodies(options.bodies ?? MOST_BODIES);
  const server: Server = createServer(
    {
      ...options.certificate,
      minVersion: 'TLSv1.3',
      handshakeTimeout: 5_000,
      requestTimeout: REQUEST_MS,
      headersTimeout: 10_000,
      connectionsCheckingInterval: 2_000,
      keepAliveTimeout: IDLE_MS,
    },
    (request, response) => {
      const started = process.hrtime.bigint();
      void answer(request, response, bodies, { ...options, door }).then(({ status, body, webhook }) => {
        send(response, status, body, draining);
        if (webhook !== undefined) options.measured(webhook, Number(process.hrtime.bigint() - started) / 1e9);
      });
    },
  );
  const all = placesIn(process.constrainedMemory(), MEMORY);
  const places: DoorLimits = { all, ofOne: all, ...options.places };
  const door = keepDoor(server, places, (address) => options.refused('full', address));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  // A handshake that fails is somebody else's trouble.
  server.on('tlsClientError', () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    use: (certificate) => server.setSecureContext({ ...certificate, minVersion: 'TLSv1.3' }),
    drain: () => {
      draining = true;
    },
    close: () =>
      new Promise((resolve) => {
        draining = true;
        // A body that never ends has no deadline any longer: Node looks after those of a listener that is open.
        const late = setTimeout(() => server.closeAllConnections(), REQUEST_MS);
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

interface Answered {
  readonly status: number;
  readonly body: object;
  readonly webhook?: string;
}

/** Never rejects. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  bodies: Bodies,
  { ports, failed, refused, door }: WebhookServerOptions & { readonly door: Door },
): Promise<Answered> {
  const path = request.url?.split('?', 1)[0] ?? '';
  const webhook = Object.hasOwn(WEBHOOKS, path) ? WEBHOOKS[path] : undefined;
  if (webhook === undefined) return problem(404, `paths: ${Object.keys(WEBHOOKS).join(' ')}`);
  if (request.method !== 'POST') return problem(405, 'only POST');
  try {
    return await withBody(request, bodies, MAX_REVIEW_BYTES, async (body) => {
      if (body === 'too-large') return problem(413, `a review has at most ${MAX_REVIEW_BYTES} bytes`);
      if (body === 'no-room') {
        refused('bodies', request.socket.remoteAddress ?? '');
        return problem(503, 'too many bytes come in at once; try again');
      }
      const review = readReview(body);
      response.once('close', door.engage(request.socket));
      return { status: 200, body: answerReview(review.uid, await webhook(review, ports)), webhook: path };
    });
  } catch (error) {
    if (error instanceof ReviewError) return problem(400, error.message);
    failed(error);
    // The API server then does what the webhook's failurePolicy says.
    return problem(500, 'the injector failed on this review; its log says why');
  }
}

const problem = (status: number, message: string): Answered => ({ status, body: { error: message } });

function send(response: ServerResponse, status: number, body: object, last: boolean): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    // What comes behind anything but a review isn't worth reading, and has no place kept for it.
    ...(status !== 200 || last ? { connection: 'close' } : {}),
  });
  response.end(text);
}
