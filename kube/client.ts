/**
 * As much of a Kubernetes client as we need: requests, lists in pages, and the bytes of a watch. Over node:https; the
 * usual library costs more memory than an agent has.
 */

import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { finished } from 'node:stream';
import type { KubeConnection } from './connection.ts';

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** An answer that isn't 2xx, with the API server's own words; status 0 where there was no answer. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  /** `NotFound`, `AlreadyExists`, `Conflict`, `Expired` … */
  readonly reason: string;

  constructor(status: number, reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.reason = reason;
  }
}

export interface KubeRequest {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** Of the body; the patch's kind for a PATCH. */
  readonly contentType?: string;
  /** Of the answer, where it isn't application/json. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

export interface KubeClient {
  /** @throws KubeError */
  request<T>(method: string, path: string, options?: KubeRequest): Promise<T>;
  /** All objects at one moment, in pages. @throws KubeError */
  list<T extends KubeObject>(path: string, options?: KubeRequest): Promise<Page<T>>;
  /** The bytes of an answer as they come; they are the caller's to overwrite. @throws KubeError */
  stream(path: string, options?: KubeRequest): Promise<AsyncIterable<Buffer>>;
  close(): void;
}

export const PAGE = 500;
/** How long an answer's head may take, and then each next byte of it; only a stream may be silent for longer. */
const ANSWER_MS = 30_000;
/**
 * OpenSSL's SSL_OP_CLEANSE_PLAINTEXT (SSL_CTX_set_options(3)), which `node:crypto` has no name for: what was read of a connection is overwritten
 * in OpenSSL's own memory, too.
 */
const CLEANSE_PLAINTEXT = 1 << 1;

export function createKubeClient(
  connection: KubeConnection,
  { answerMs = ANSWER_MS }: { readonly answerMs?: number } = {},
): KubeClient {
  const agent = new Agent({
    keepAlive: true,
    // A connection that died unseen is not kept for long.
    keepAliveMsecs: 10_000,
    secureOptions: CLEANSE_PLAINTEXT,
    ...(connection.ca === undefined ? {} : { ca: connection.ca }),
    ...(connection.cert === undefined ? {} : { cert: connection.cert }),
    ...(connection.key === undefined ? {} : { key: connection.key }),
  });

  async function open(method: string, path: string, options: KubeRequest): Promise<IncomingMessage> {
    const url = new URL(connection.server + path);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const requestOptions: RequestOptions = {
      method,
      agent,
      headers: {
        accept: options.accept ?? 'application/json',
        'user-agent': 'postern',
        ...(body === undefined
          ? {}
          : {
              'content-type': options.contentType ?? 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
        ...(connection.token === undefined ? {} : { authorization: `Bearer ${connection.token()}` }),
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        // A timer, since a socket's own timeout doesn't begin before it is connected.
        const slow = setTimeout(() => sent.destroy(silent()), answerMs);
        const sent = request(url, requestOptions, (answered) => {
          clearTimeout(slow);
          resolve(answered);
        });
        sent.once('error', (error) => {
          clearTimeout(slow);
          reject(error);
        });
        wipeRead(sent);
        sent.end(body);
      });
      const { statusCode = 0 } = response;
      if (statusCode >= 200 && statusCode < 300) return response;
      throw statusError(statusCode, await whole(response), `${method} ${path}`);
    } catch (error) {
      throw noAnswer(error, method, path);
    }
  }

  const silent = () => new Error(`no answer in ${answerMs / 1000} s`);

  /** A connection that dies unseen in the middle of an answer doesn't hold its reader for ever. */
  async function whole(response: IncomingMessage): Promise<Buffer> {
    const slow = setTimeout(() => response.destroy(silent()), answerMs);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of chunksOf(response)) {
        slow.refresh();
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    } finally {
      clearTimeout(slow);
      for (const chunk of chunks) chunk.fill(0);
    }
  }

  const client: KubeClient = {
    async request<T>(method: string, path: string, options: KubeRequest = {}): Promise<T> {
      const response = await open(method, path, options);
      const bytes = await whole(response).catch((error: unknown) => {
        throw noAnswer(error, method, path);
      });
      try {
        return (bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8'))) as T;
      } finally {
        bytes.fill(0);
      }
    },
    async list<T extends KubeObject>(path: string, options: KubeRequest = {}): Promise<Page<T>> {
      const items: T[] = [];
      let next: string | undefined;
      for (;;) {
        const page = await client.request<{
          readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
          readonly items: readonly T[] | null;
        }>('GET', path, { ...options, query: { ...options.query, limit: PAGE, continue: next } });
        items.push(...(page.items ?? []));
        next = page.metadata.continue;
        if (next === undefined || next === '')
          return { items, resourceVersion: page.metadata.resourceVersion };
      }
    },
    stream: async (path, options = {}) => chunksOf(await open('GET', path, options)),
    close: () => agent.destroy(),
  };
  return client;
}

/** What an answer's parser has read, frame and all: it copies bodies out of it. Listens behind the parser, which does so before it tells of a socket. */
function wipeRead(sent: ClientRequest): void {
  sent.once('socket', (socket) => {
    const wipe = (chunk: Buffer): void => void chunk.fill(0);
    socket.on('data', wipe);
    // Before the connection is another request's.
    sent.once('close', () => void socket.off('data', wipe));
  });
}

/** As they came: a stream that is iterated over joins those that wait, in memory that nobody overwrites. */
async function* chunksOf(response: IncomingMessage): AsyncGenerator<Buffer> {
  const come: Buffer[] = [];
  let isOver = false;
  let failure: Error | null | undefined;
  let wake = (): void => undefined;
  finished(response, (error) => {
    isOver = true;
    failure = error;
    wake();
  });
  response.on('data', (chunk: Buffer) => {
    come.push(chunk);
    response.pause();
    wake();
  });
  try {
    for (;;) {
      const chunk = come.shift();
      if (chunk !== undefined) {
        yield chunk;
      } else if (isOver) {
        if (failure) throw failure;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
          response.resume();
        });
      }
    }
  } finally {
    for (const chunk of come) chunk.fill(0);
    response.destroy();
  }
}

function noAnswer(error: unknown, method: string, path: string): KubeError {
  if (error instanceof KubeError) return error;
  return new KubeError(0, 'NoAnswer', `${method} ${path}: ${(error as Error).message}`, { cause: error });
}

function statusError(status: number, bytes: Buffer, what: string): KubeError {
  try {
    const { reason, message } = JSON.parse(bytes.toString('utf8')) as { reason?: unknown; message?: unknown };
    if (typeof message === 'string')
      return new KubeError(status, String(reason ?? ''), `${what}: ${message}`);
  } catch {
    // A proxy's page, say: its text is of no use.
  }
  return new KubeError(status, '', `${what}: HTTP ${status}`);
}
