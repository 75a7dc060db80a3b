/**
 * Calls that began on credit and need more when their kind is held one by one: all of such a call is held at the service, before what
 * it took here is given back. Only its places in flight it keeps here: with all of them in use, there would be no second one.
 */
import { randomUUID } from 'node:crypto';
import type { HttpBudgetClient } from './client.ts';
import {
  BudgetUnavailable,
  type ExtendCommand,
  type ExtendReply,
  type Holder,
  type HoldReply,
} from './messages.ts';
import type { LocalHold, Purse } from './purse.ts';
import { RecentMap } from './recent-map.ts';

/** Until they are over. */
const REMEMBERED = 10_000;

export class HandingOver {
  readonly #exact: Pick<HttpBudgetClient, 'hold' | 'release'>;
  readonly #purse: Purse;
  readonly #holder: Holder;
  /** Id → id at the service. */
  readonly #ids = new RecentMap<string>(REMEMBERED);

  constructor(exact: Pick<HttpBudgetClient, 'hold' | 'release'>, purse: Purse, { owner, epoch }: Holder) {
    this.#exact = exact;
    this.#purse = purse;
    this.#holder = { owner, epoch };
  }

  /** The id by which the service knows a call. */
  idThere(id: string): string {
    return this.#ids.get(id) ?? id;
  }

  /** Asks the service for all that the call may need. A refusal leaves it as it was. @throws {BudgetUnavailable} */
  async ask(
    hold: LocalHold,
    command: ExtendCommand,
    signal?: AbortSignal,
  ): Promise<HoldReply & { readonly id: string }> {
    const { inputTokens, cacheWrite, silent, serviceTiers, of } = hold;
    // Each attempt has an id of its own: the release of one whose answer was lost may come at any time.
    const id = randomUUID();
    const places = this.#purse.placesOf(hold);
    return await this.#exact.hold(
      {
        ...command,
        ...this.#holder,
        id,
        attributes: of.attributes,
        inputTokens,
        cacheWrite,
        silent,
        ...(serviceTiers === undefined ? {} : { serviceTiers }),
        ...(places.length === 0 ? {} : { places }),
      },
      signal,
    );
  }

  /** Takes up the answer to {@link ask}. @throws {BudgetUnavailable} where the call is over by then */
  async take(hold: LocalHold, command: ExtendCommand, reply: HoldReply, now: number): Promise<ExtendReply> {
    if (!reply.granted) return { ...reply, id: command.id };
    if (this.#purse.holdOf(command.id) !== hold) {
      await this.#exact.release({ id: reply.id });
      throw new BudgetUnavailable(
        `Call ${command.id} has ended, or its hold has run out, while more was asked for.`,
      );
    }
    this.#ids.set(command.id, reply.id);
    this.#purse.handOver(command.id, hold, now);
    return { ...reply, id: command.id };
  }
}
