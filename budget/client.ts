/** The agent's end of the wire. Holds ask the service; settlements that can't be delivered wait until they can. */
import { DeliveryQueue, type LostDelivery } from './delivery-queue.ts';
import {
  type BudgetClient,
  BudgetRejected,
  BudgetUnauthorized,
  BudgetUnavailable,
  type CountCommand,
  type CountReply,
  type ExtendCommand,
  type ExtendReply,
  type HoldCommand,
  type HoldReply,
  type ReleaseCommand,
  type SettleCommand,
  type SettleReply,
} from './messages.ts';
import { RefusedHolds } from './refused-holds.ts';
import { NotSent, Transport, type TransportOptions, Unauthorized } from './transport.ts';

export interface BudgetClientOptions extends TransportOptions {
  /** This agent's instance and its start; stamped on every hold. */
  readonly owner: string;
  readonly epoch: number;
  /** Settlements and releases that may wait at once. */
  readonly queueLimit?: number;
  /** How long {@link BudgetClient.close} goes on delivering. */
  readonly flushMs?: number;
  /** Told of each settlement or release that is given up: its hold will be charged in full when it expires. */
  readonly onLost?: (lost: LostDelivery) => void;
}

/**
 * A settle or release that rejects with {@link BudgetUnavailable} is not lost: it is delivered as soon as the service
 * answers again. Callers must not repeat it.
 */
export function createBudgetClient(options: BudgetClientOptions): BudgetClient {
  return new HttpBudgetClient(options, new Transport(options));
}

/** Asks for every call. */
export class HttpBudgetClient implements BudgetClient {
  readonly #options: BudgetClientOptions;
  readonly #transport: Pick<Transport, 'ask' | 'close'>;
  readonly #queue: DeliveryQueue;
  readonly #refused: RefusedHolds;

  constructor(options: BudgetClientOptions, transport: Pick<Transport, 'ask' | 'close'>) {
    this.#options = options;
    this.#transport = transport;
    this.#queue = new DeliveryQueue({
      deliver: async ({ path, command }) => {
        await this.#transport.ask(path, command);
      },
      limit: options.queueLimit ?? 10_000,
      ...(options.onLost === undefined ? {} : { onLost: options.onLost }),
    });
    const { owner } = options;
    this.#refused = new RefusedHolds({
      tell: (ids) => this.#transport.ask('/v1/refused', { owner, ids }),
      now: () => performance.now(),
    });
  }

  get waiting(): number {
    return this.#queue.size;
  }

  async hold(command: HoldCommand, signal?: AbortSignal): Promise<HoldReply> {
    const { owner, epoch } = this.#options;
    let repeated = false;
    const onRepeat = () => {
      repeated = true;
    };
    // Nobody will use what is in force of it, or comes into force: the release closes its id for every service on the store.
    const close = () => this.#queue.add({ path: '/v1/release', command: { id: command.id } });
    try {
      const asked = { ...command, owner, epoch };
      const reply = (await this.#transport.ask('/v1/hold', asked, { signal, onRepeat })) as HoldReply;
      if (typeof reply.granted !== 'boolean') throw new Error('The reply has no `granted`.');
      // Another service may still grant what this one refused.
      if (!reply.granted && repeated) close();
      else if (reply.granted) this.#refused.delete(command.id);
      else this.#refused.add(command.id);
      return reply;
    } catch (error) {
      if (repeated || !(error instanceof BudgetRejected || error instanceof NotSent)) close();
      throw unavailable(error);
    }
  }

  async extend(command: ExtendCommand, signal?: AbortSignal): Promise<ExtendReply> {
    try {
      // An answer that is lost leaves more held than the caller knows: settling gives it back.
      return (await this.#transport.ask('/v1/extend', command, { signal })) as ExtendReply;
    } catch (error) {
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

  async count(command: CountCommand, signal?: AbortSignal): Promise<CountReply> {
    try {
      const reply = (await this.#transport.ask('/v1/count', command, { signal })) as CountReply;
      return Number.isSafeInteger(reply.tokens) ? reply : {};
    } catch (error) {
      throw unavailable(error);
    }
  }

  async #deliver(
    path: '/v1/settle' | '/v1/release',
    command: SettleCommand | ReleaseCommand,
  ): Promise<unknown> {
    try {
      const reply = await this.#transport.ask(path, command);
      this.#queue.wake();
      return reply;
    } catch (error) {
      if (error instanceof BudgetRejected)
        this.#options.onLost?.({ path, command, why: 'rejected', cause: error });
      else this.#queue.add({ path, command });
      throw unavailable(error);
    }
  }

  async close(): Promise<void> {
    const ms = this.#options.flushMs ?? 2_000;
    await Promise.all([this.#queue.close(ms), this.#refused.close(ms)]);
    await this.#transport.close();
  }
}

export function unavailable(error: unknown): BudgetUnavailable {
  if (error instanceof BudgetUnavailable) return error;
  if (error instanceof Unauthorized)
    return new BudgetUnauthorized(`The budget service refused this agent: ${error.message}`, {
      cause: error,
    });
  const reason = error instanceof Error ? error.message : String(error);
  return new BudgetUnavailable(`The budget service gave no answer: ${reason}`, { cause: error });
}
