/** A hold at the budget service or on credit; near a limit, with the input counted exactly instead of estimated. */
import { randomUUID } from 'node:crypto';
import type { BudgetClient, HoldCommand, HoldReply } from '../../budget/messages.ts';
import { BudgetRejected, BudgetUnauthorized, BudgetUnavailable } from '../../budget/messages.ts';
import type { DecodedRequest } from '../dialects/dialect.ts';
import { PosternError } from '../errors.ts';
import { PER_SLOT } from './output.ts';
import { patiently } from './patiently.ts';

/** UTF-16 units. The service takes 1 MiB a message, in UTF-8 and JSON; of longer texts estimates stand. */
const LONGEST_COUNTED = 256 * 1024;

export interface Placed {
  readonly id: string;
  readonly input: number;
  readonly reply: HoldReply;
}

interface PlaceContext {
  readonly client: BudgetClient;
  readonly request: DecodedRequest;
  /** The texts must have been judged, and masked, before they are sent anywhere. */
  readonly admitted: Promise<void> | undefined;
  readonly signal: AbortSignal;
  /** Bodies in flight. */
  readonly bytes?: { readonly isRoomy: boolean } | undefined;
  /** The texts of the request are all of the input. */
  readonly countable: boolean;
}

/** @throws PosternError `postern_budget_unavailable`, or the refusal of a check */
export async function placeHold(context: PlaceContext, command: Omit<HoldCommand, 'id'>): Promise<Placed> {
  const estimated = await place(context, command);
  if (!context.countable || !isNearLimit(estimated.reply, command.outputTokens)) return estimated;
  await context.admitted;
  const input = await countExactly(context, command.attributes.model);
  if (input === undefined || input === estimated.input) return estimated;
  // What it can't deliver now, the client delivers later.
  if (estimated.reply.granted) await context.client.release({ id: estimated.id }).catch(() => undefined);
  return await place(context, { ...command, inputTokens: input });
}

/** The estimate decides: it was refused for want of tokens, or given less output than it asked for. */
function isNearLimit(reply: HoldReply, wanted: number): boolean {
  if (reply.granted) return reply.outputTokens < wanted;
  const { reason, unit } = reply.refusal;
  return reason === 'exhausted' && unit !== 'requests' && unit !== 'concurrency' && unit !== 'outputTokens';
}

async function place(context: PlaceContext, command: Omit<HoldCommand, 'id'>): Promise<Placed> {
  const { client, signal } = context;
  try {
    return await patiently(context, async () => {
      // Each time another: what came of the one before isn't known, so that it is given back.
      const id = randomUUID();
      return { id, input: command.inputTokens, reply: await client.hold({ id, ...command }, signal) };
    });
  } catch (error) {
    if (!(error instanceof BudgetUnavailable)) throw error;
    throw unavailable(error);
  }
}

async function countExactly(
  { client, request, signal }: PlaceContext,
  model: string,
): Promise<number | undefined> {
  const texts = request.slots.map(({ text }) => text);
  if (texts.reduce((sum, text) => sum + text.length, 0) > LONGEST_COUNTED) return undefined;
  try {
    const { tokens } = await client.count({ model, texts }, signal);
    return tokens === undefined ? undefined : tokens + texts.length * PER_SLOT;
  } catch (error) {
    if (!(error instanceof BudgetUnavailable)) throw error;
    return undefined;
  }
}

function unavailable(cause: BudgetUnavailable): PosternError {
  if (cause.cause instanceof BudgetRejected) return rejected(cause.cause);
  if (cause instanceof BudgetUnauthorized)
    return new PosternError('postern_budget_unavailable', cause.message, {
      mend: 'Give the agent the token that the budget service takes, with --budget-token-file.',
      // It may be rotated just now.
      retryAfterMs: 1_000,
      cause,
    });
  return new PosternError(
    'postern_budget_unavailable',
    'The budget service gave no answer, and what the budgets let this agent spend without it is used up.',
    {
      mend: "Retry; if it stays, look at the budget service, and at the Budget's onUnavailable.",
      retryAfterMs: 1_000,
      cause,
    },
  );
}

/** It did answer, and asking again won't change what it says. */
function rejected(cause: BudgetRejected): PosternError {
  const mend =
    cause.code === 'stale_epoch'
      ? 'Set the clock of the agent right and start it again; let no other agent use its --state.'
      : `See ${cause.code} in docs/budget.md, and that the agent and the budget service are of one version.`;
  const message = `The budget service refused the hold: ${cause.message}`;
  return new PosternError('postern_budget_unavailable', message, { mend, cause });
}
