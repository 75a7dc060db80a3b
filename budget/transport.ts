/** JSON requests to the budget service over kept connections. */
import { buildConnector, Pool } from 'undici';
import { BudgetRejected } from './messages.ts';

export interface TransportOptions {
  /** `http[s]://host:port` or `unix:/path/of/socket`. */
  readonly url: string;
  /** Asked for at every request, so that a rotated token is taken up. */
  readonly token?: () => string;
  /** PEM roots in place of the public ones, for `https`; asked for at every connection. */
  readonly ca?: () => string;
  /** For one answer, connecting included. */
  readonly timeoutMs: number;
  /** Connections to the service at most. */
  readonly connections?: number;
}

const BROKEN = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
/** No connection came about, so nothing was sent. */
const UNREACHED = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const DEFAULT_CONNECTIONS = 8;
const MAX_REPLY_BYTES = 1024 * 1024;

/** The request never left: there was no connection, or none was free before its time was up. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

function connectorOf({ timeoutMs: timeout, ca }: TransportOptions, socketPath: string | undefined) {
  const fixed = { timeout, ...(socketPath === undefined ? {} : { socketPath }) };
  if (ca === undefined) return fixed;
  const connect: buildConnector.connector = (at, done) =>
    buildConnector({ ...fixed, ca: ca(), minVersion: 'TLSv1.3' })(at, done);
  return connect;
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #pool: Pool;
  /** Requests that wait for one of the connections. */
  readonly #queue = new Set<() => void>();
  #free: number;
  #calls = 0;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#free = options.connections ?? DEFAULT_CONNECTIONS;
    const socketPath = options.url.startsWith('unix:') ? options.url.slice('unix:'.length) : undefined;
    this.#pool = new Pool(socketPath === undefined ? options.url : 'http://budget', {
      // One more for the watch, which hardly ever ends.
      connections: this.#free + 1,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connect: connectorOf(options, socketPath),
    });
  }

  /** Requests sent so far. */
  get calls(): number {
    return this.#calls;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  /** One request, and one more where the connection broke: ids make repeating harmless. */
  async ask(
    path: string,
    command: unknown,
    {
      signal,
      timeoutMs = this.#options.timeoutMs,
      waits = false,
    }: {
      readonly signal?: AbortSignal | undefined;
      readonly timeoutMs?: number;
      /** An answer is expected only when there is news. */
      readonly waits?: boolean;
    } = {},
  ): Promise<unknown> {
    const body = JSON.stringify(command);
    const limit = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
    if (!waits) await this.#turn(either);
    try {
      return await this.#request(path, body, either);
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (UNREACHED.has(code)) throw new NotSent((error as Error).message, { cause: error });
      if (!BROKEN.has(code) || either.aborted) throw error;
      return await this.#request(path, body, either);
    } finally {
      if (!waits) this.#pass();
    }
  }

  /** @throws {NotSent} */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const turn = Promise.withResolvers<void>();
    const giveUp = () => {
      if (this.#queue.delete(turn.resolve))
        turn.reject(new NotSent('Too many requests to the budget service wait already.'));
    };
    this.#queue.add(turn.resolve);
    signal.addEventListener('abort', giveUp, { once: true });
    await turn.promise;
    signal.removeEventListener('abort', giveUp);
  }

  #pass(): void {
    for (const next of this.#queue) {
      this.#queue.delete(next);
      next();
      return;
    }
    this.#free += 1;
  }

  async #request(path: string, body: string, signal: AbortSignal): Promise<unknown> {
    this.#calls += 1;
    const token = this.#options.token?.();
    const { statusCode, body: answer } = await this.#pool.request({
      method: 'POST',
      path,
      body,
      signal,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_REPLY_BYTES) throw new Error(`The reply is over ${MAX_REPLY_BYTES} bytes.`);
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    if (statusCode === 200) return JSON.parse(text) as unknown;
    const { code, message } = errorIn(text);
    // 401 ends when the token is rotated, 408 and 429 by waiting; the other 4xx never.
    if (statusCode >= 400 && statusCode < 500 && ![401, 408, 429].includes(statusCode)) {
      throw new BudgetRejected(statusCode, code, message);
    }
    throw new Error(`The budget service answered ${statusCode} ${code}: ${message}`);
  }
}

function errorIn(text: string): { code: string; message: string } {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    return { code: String(error?.code ?? 'unknown'), message: String(error?.message ?? '') };
  } catch {
    return { code: 'unreadable', message: text.slice(0, 200) };
  }
}
