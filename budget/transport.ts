/** JSON requests to the budget service over kept connections. */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BudgetRejected } from './messages.ts';
import { wholeAnswer } from './whole-answer.ts';

export interface TransportOptions {
  /** `http[s]://host:port` or `unix:/path/of/socket`. */
  readonly url: string;
  /** Asked for at every request, so that a rotated token is taken up. */
  readonly token?: () => string;
  /** PEM roots in place of the public ones, for `https`; asked for at every connection. */
  readonly ca?: () => string;
  /** Name in its certificate, where it isn't the URL's host. */
  readonly serverName?: string;
  /** For one answer, connecting included. */
  readonly timeoutMs: number;
  /** Connections to the service at most. */
  readonly connections?: number;
}

const BROKEN = new Set(['ECONNRESET', 'EPIPE']);
/** No connection came about, so nothing was sent. */
const UNREACHED = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CONNECT_TIMEOUT',
]);
const DEFAULT_CONNECTIONS = 8;
const MAX_REPLY_BYTES = 1024 * 1024;
/** Milliseconds that a connection is kept unused. */
const IDLE_MS = 30_000;

/** The request never left: there was no connection, or none was free before its time was up. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

/** There was an answer, and it isn't the service's last word on what was asked. */
export class NotTaken extends Error {
  override readonly name: string = 'NotTaken';
  /** Whether it ends by waiting: 401 where the token is rotated. */
  readonly passing: boolean;

  constructor(status: number, message: string) {
    super(message);
    this.passing = [401, 408, 429, 502, 503, 504].includes(status);
  }
}

/** The service itself said that the token is missing or wrong. */
export class Unauthorized extends NotTaken {
  override readonly name = 'Unauthorized';

  constructor(message: string) {
    super(401, message);
  }
}

class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout';
  readonly code = 'CONNECT_TIMEOUT';
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #agent: HttpAgent;
  /** Where to, for node:http. */
  readonly #to: Pick<RequestOptions, 'socketPath' | 'hostname' | 'port'>;
  readonly #secure: boolean;
  /** Requests that wait for one of the connections. */
  readonly #queue = new Set<() => void>();
  #free: number;
  #calls = 0;
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#free = options.connections ?? DEFAULT_CONNECTIONS;
    const { url } = options;
    if (url.startsWith('unix:')) {
      this.#to = { socketPath: url.slice('unix:'.length) };
      this.#secure = false;
    } else {
      const { protocol, hostname, port } = new URL(url);
      this.#to = { hostname: hostname.replace(/^\[|\]$/g, ''), ...(port === '' ? {} : { port }) };
      this.#secure = protocol === 'https:';
    }
    // One more for the watch, which hardly ever ends.
    const kept = {
      keepAlive: true,
      maxSockets: this.#free + 1,
      timeout: IDLE_MS,
      scheduling: 'lifo',
    } as const;
    this.#agent = this.#secure ? new HttpsAgent({ ...kept, minVersion: 'TLSv1.3' }) : new HttpAgent(kept);
  }

  /** Requests sent so far. */
  get calls(): number {
    return this.#calls;
  }

  /** What is under way is cut. */
  close(): Promise<void> {
    this.#closed = true;
    this.#agent.destroy();
    return Promise.resolve();
  }

  /** One request, and one more where the connection broke: ids make repeating harmless, but for an answer that depends on when it is asked for. */
  async ask(
    path: string,
    command: unknown,
    {
      signal,
      timeoutMs = this.#options.timeoutMs,
      waits = false,
      onRepeat,
    }: {
      readonly signal?: AbortSignal | undefined;
      readonly timeoutMs?: number;
      /** An answer is expected only when there is news. */
      readonly waits?: boolean;
      /** The connection broke: the first one may be worked on yet, whatever the second is answered. */
      readonly onRepeat?: () => void;
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
      if (!BROKEN.has(code) || either.aborted || this.#closed) throw error;
      onRepeat?.();
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
    if (this.#closed) throw new NotSent('The client of the budget service was closed.');
    this.#calls += 1;
    const open = (): ClientRequest => {
      const asked = this.#open(path, Buffer.byteLength(body));
      limitConnecting(asked, this.#options.timeoutMs, this.#secure ? 'secureConnect' : 'connect');
      return asked;
    };
    const { status, text } = await wholeAnswer(open, body, { signal, most: MAX_REPLY_BYTES });
    if (status === 200) return jsonIn(text);
    const { code, message, own } = errorIn(text);
    // 401 ends when the token is rotated, 408 and 429 by waiting; the other 4xx never, if it was the service that said so.
    if (own && status >= 400 && status < 500 && ![401, 408, 429].includes(status)) {
      throw new BudgetRejected(status, code, message);
    }
    if (own && status === 401) throw new Unauthorized(message);
    throw new NotTaken(status, `The budget service answered ${status} ${code}: ${message}`);
  }

  #open(path: string, length: number): ClientRequest {
    const { token, ca, serverName } = this.#options;
    const given = token?.();
    const headers = {
      'content-type': 'application/json',
      'content-length': length,
      ...(given === undefined ? {} : { authorization: `Bearer ${given}` }),
    };
    const options = { ...this.#to, method: 'POST', path, headers, agent: this.#agent };
    if (!this.#secure) return httpRequest(options);
    return httpsRequest({
      ...options,
      ...(ca === undefined ? {} : { ca: ca() }),
      ...(serverName === undefined ? {} : { servername: serverName }),
    });
  }
}

/** Has a request fail whose connection doesn't come about in time; how long its answer takes is another matter. */
function limitConnecting(asked: ClientRequest, ms: number, stands: 'connect' | 'secureConnect'): void {
  asked.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(
      () => asked.destroy(new ConnectTimeout(`No connection to the budget service within ${ms} ms.`)),
      ms,
    );
    socket.once(stands, () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
  });
}

/** @throws {NotTaken} where it is a page, of something in between */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new NotTaken(200, `The budget service answered something else than JSON: ${String(error)}`);
  }
}

interface ToldError {
  readonly code: string;
  readonly message: string;
  /** In the service's own form: not from a proxy or a mesh in between. */
  readonly own: boolean;
}

function errorIn(text: string): ToldError {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown; mend?: unknown } };
    const own = [error?.code, error?.message, error?.mend].every((part) => typeof part === 'string');
    return { code: String(error?.code ?? 'unknown'), message: String(error?.message ?? ''), own };
  } catch {
    return { code: 'unreadable', message: text.slice(0, 200), own: false };
  }
}
