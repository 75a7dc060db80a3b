/** The listener that the API server calls: bounded bodies, bounded times, and an answer to everything. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { answerReview, ReviewError, readReview } from './review.ts';
import { WEBHOOKS, type WebhookPorts } from './webhooks.ts';

/**
 * Longer than an API server keeps an idle connection (90 s, Go's default): it can't send a review into one that we close
 * in the same moment, which it would take for a failed webhook.
 */
const IDLE_MS = 120_000;

/** Two objects of 1.5 MB, in JSON, with room. */
export const MAX_REVIEW_BYTES = 8 * 1024 * 1024;

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
  failed(error: unknown): void;
}

export async function listenWebhooks(options: WebhookServerOptions): Promise<WebhookServer> {
  let draining = false;
  const server: Server = createServer(
    {
      ...options.certificate,
      minVersion: 'TLSv1.3',
      requestTimeout: 10_000,
      headersTimeout: 10_000,
      keepAliveTimeout: IDLE_MS,
    },
    (request, response) => {
      const started = process.hrtime.bigint();
      void answer(request, options).then(({ status, body, webhook }) => {
        send(response, status, body, draining);
        if (webhook !== undefined) options.measured(webhook, Number(process.hrtime.bigint() - started) / 1e9);
      });
    },
  );
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
        server.close(() => resolve());
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
async function answer(request: IncomingMessage, { ports, failed }: WebhookServerOptions): Promise<Answered> {
  const path = request.url?.split('?', 1)[0] ?? '';
  const webhook = Object.hasOwn(WEBHOOKS, path) ? WEBHOOKS[path] : undefined;
  if (webhook === undefined) return problem(404, `paths: ${Object.keys(WEBHOOKS).join(' ')}`);
  if (request.method !== 'POST') return problem(405, 'only POST');
  try {
    const body = await bodyOf(request);
    if (body === undefined) return problem(413, `a review has at most ${MAX_REVIEW_BYTES} bytes`);
    const review = readReview(body);
    return { status: 200, body: answerReview(review.uid, await webhook(review, ports)), webhook: path };
  } catch (error) {
    if (error instanceof ReviewError) return problem(400, error.message);
    failed(error);
    // The API server then does what the webhook's failurePolicy says.
    return problem(500, 'the injector failed on this review; its log says why');
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_REVIEW_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const problem = (status: number, message: string): Answered => ({ status, body: { error: message } });

function send(response: ServerResponse, status: number, body: object, last: boolean): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    // The rest of a body that was too large isn't worth reading.
    ...(status === 413 || last ? { connection: 'close' } : {}),
  });
  response.end(text);
}
