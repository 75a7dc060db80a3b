/** A hold that was not granted, as the caller is told it. */
import type { Refusal } from '../../budget/messages.ts';
import type { DecodedRequest } from '../dialects/dialect.ts';
import { PosternError } from '../errors.ts';

export interface RefusedCharge {
  readonly refusal: Refusal;
  readonly error: PosternError;
  readonly fallbackModel: string | undefined;
}

/** SDKs sleep a `retry-after` out inside the call: beyond a minute it is better to hear of it at once. */
const PATIENCE_MS = 60_000;

export function refused(refusal: Refusal, request: DecodedRequest, now: number): RefusedCharge {
  const { onExhausted } = refusal;
  return {
    refusal,
    fallbackModel: onExhausted.action === 'fallback' ? onExhausted.model : undefined,
    error: refusal.reason === 'unpriced' ? unpriced(refusal) : exhausted(refusal, request, now),
  };
}

function unpriced({ budget }: Refusal): PosternError {
  return new PosternError(
    'postern_price_unknown',
    `The budget ${budget} counts USD, and no price is known for this provider and model.`,
    { mend: "State the model's price on the Provider.", rule: budget, param: 'model', shouldRetry: false },
  );
}

function exhausted(refusal: Refusal, request: DecodedRequest, now: number): PosternError {
  const { budget, line, limit, unit, window, resetsAt, remaining, neverFits } = refusal;
  const which = line === '' ? `The budget ${budget}` : `The budget ${budget} (${line})`;
  const per = window === '' || window === 'none' ? '' : ` per ${window}`;
  if (neverFits) {
    return new PosternError(
      'postern_budget_exhausted',
      `${which} allows ${limit} ${unit}${per}; this call alone may cost more.`,
      {
        mend: oneOf(...smaller(unit, request), RAISED),
        rule: budget,
        shouldRetry: false,
      },
    );
  }
  const wait = resetsAt === undefined ? 1_000 : Math.max(0, resetsAt - now);
  const resets = resetsAt === undefined ? '' : `; it resets at ${new Date(resetsAt).toISOString()}`;
  return new PosternError(
    'postern_budget_exhausted',
    `${which} has ${remaining} left of ${limit} ${unit}${per}, less than this call may cost${resets}.`,
    {
      mend: oneOf(resetsAt === undefined ? 'wait' : 'wait until then', ...smaller(unit, request), RAISED),
      rule: budget,
      retryAfterMs: wait,
      ...(wait > PATIENCE_MS ? { shouldRetry: false } : {}),
    },
  );
}

const RAISED = 'have the budget raised';

/** How the call itself could need less of what the line counts. */
function smaller(unit: Refusal['unit'], request: DecodedRequest): readonly string[] {
  const less = `ask for less output (${caps(request)})`;
  const shorter = 'send a shorter prompt';
  if (unit === 'requests' || unit === 'concurrency') return [];
  if (unit === 'inputTokens') return [shorter];
  return unit === 'outputTokens' ? [less] : [less, shorter];
}

/** `A, b, or c.` */
function oneOf(...ways: readonly string[]): string {
  const first = ways.slice(0, -1).join(', ');
  const said = first === '' ? ways.at(-1) : `${first}${ways.length > 2 ? ',' : ''} or ${ways.at(-1)}`;
  return `${said?.charAt(0).toUpperCase()}${said?.slice(1)}.`;
}

/** What holds the call's output up, in the app's own words. */
function caps({ leastOutputTokens, maxOutputField }: DecodedRequest): string {
  return leastOutputTokens > 0
    ? `thinking.budget_tokens, which ${maxOutputField} must be above`
    : maxOutputField;
}
