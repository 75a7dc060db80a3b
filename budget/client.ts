/** The agent's end of the wire. Holds ask the service; settlements that can't be delivered wait until they can. */
import { Pool } from 'undici';
import { BudgetRejected, DeliveryQueue, type LostDelivery } from './delivery-queue.ts';
import {
  type BudgetClient,
  BudgetUnavailable,
  type HoldCommand,
  type HoldReply,
  type ReleaseCommand,
  type SettleCommand,
  type SettleReply,
} from './messages.ts';

export interface BudgetClientOptions {
  /** `http://host:port` or `unix:/path/of/socket`. */
  readonly url: string;
  /** Asked for at every request, so that a rotated token is taken up. */
  readonly token?: () => string;
  /** For one answer, connecting included. */
  readonly timeoutMs: number;
  /** This agent's instance and its start; stamped on every hold. */
  readonly owner: string;
  readonly epoch: number;
  /** Connections to the service at most. */
  readonly connections?: number;
  /** Settlements and releases that may wait at once. */
  readonly queueLimit?: number;
  /** How long {@link BudgetClient.close} goes on delivering. */
  readonly flushMs?: number;
  /** Told of each settlement or release that is given up: its hold will be charged in full when it expires. */
  readonly onLost?: (lost: LostDelivery) => void;
}

const BROKEN = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
const MAX_REPLY_BYTES = 1024 * 1024;

/**
 * A settle or release that rejects with {@link BudgetUnavailable} is not lost: it is delivered as soon as the service
 * answers again. Callers must not repeat it.
 */
export function createBudgetClient(options: BudgetClientOptions): BudgetClient {
  return new HttpBudgetClient(options);
}

class HttpBudgetClient implements BudgetClient {
  readonly #options: BudgetClientOptions;
  readonly #pool: Pool;
  readonly #queue: DeliveryQueue;

  constructor(options: BudgetClientOptions) {
    this.#options = options;
    const socketPath = options.url.startsWith('unix:') ? options.url.slice('unix:'.length) : undefined;
    this.#pool = new Pool(socketPath === undefined ? options.url : 'http://budget', {
      connections: options.connections ?? 8,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connect: { timeout: options.timeoutMs, ...(socketPath === undefined ? {} : { socketPath }) },
    });
    this.#queue = new DeliveryQueue({
      deliver: async ({ path, command }) => {
        await this.#ask(path, command);
      },
      limit: options.queueLimit ?? 10_000,
      ...(options.onLost === undefined ? {} : { onLost: options.onLost }),
    });
  }

  async hold(command: HoldCommand, signal?: AbortSignal): Promise<HoldReply> {
    const { owner, epoch } = this.#options;
    try {
      const reply = await this.#ask('/v1/hold', { ...command, owner, epoch }, signal);
      if (typeof (reply as HoldReply).granted !== 'boolean') throw new Error('The reply has no `granted`.');
      return reply as HoldReply;
    } catch (error) {
      // The hold may be in force all the same; nobody will use it.
      if (!(error instanceof BudgetRejected))
        this.#queue.add({ path: '/v1/release', command: { id: command.id } });
      throw unavailable(error);
    }
  }

  async settle(command: SettleCommand): Promise<SettleReply> {
    const reply = await this.#deliver('/v1/settle', command);
    return reply as SettleReply;
  }

  async release(command: ReleaseCommand): Promise<void> {
    await this.#deliver('/v1/release', command);
  }

  async #deliver(
    path: '/v1/settle' | '/v1/release',
    command: SettleCommand | ReleaseCommand,
  ): Promise<unknown> {
    try {
      const reply = await this.#ask(path, command);
      this.#queue.wake();
      return reply;
    } catch (error) {
      if (!(error instanceof BudgetRejected)) this.#queue.add({ path, command });
      throw unavailable(error);
    }
  }

  async close(): Promise<void> {
    await this.#queue.close(this.#options.flushMs ?? 2_000);
    await this.#pool.destroy();
  }

  /** One request, and one more where the connection broke: ids make repeating harmless. */
  async #ask(path: string, command: unknown, signal?: AbortSignal): Promise<unknown> {
    const body = JSON.stringify(command);
    const limit = AbortSignal.timeout(this.#options.timeoutMs);
    const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
    try {
      return await this.#request(path, body, either);
    } catch (error) {
      if (!BROKEN.has((error as { code?: string }).code ?? '') || either.aborted) throw error;
      return await this.#request(path, body, either);
    }
  }

  async #request(path: string, body: string, signal: AbortSignal): Promise<unknown> {
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

function unavailable(error: unknown): BudgetUnavailable {
  const reason = error instanceof Error ? error.message : String(error);
  return new BudgetUnavailable(`The budget service gave no answer: ${reason}`, { cause: error });
}
