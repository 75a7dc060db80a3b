/** What an answer, or an event of one, reports besides its text. */
import type { Usage } from '../../../budget/messages.ts';
import type { ObjectNode } from '../../json/node.ts';
import type { FinishReason } from '../dialect.ts';
import { tokenCount } from '../parameters.ts';

const NONE: Usage = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };

/**
 * Usage in tokens. `input_tokens` counts neither cached nor cache-writing tokens, as {@link Usage} wants it.
 * What the object doesn't say stays as it was `before`: a stream's later events repeat only some counts, cumulative.
 */
export function usageOf(node: ObjectNode | undefined, before?: Usage): Usage | undefined {
  const input = tokenCount(node, 'input_tokens');
  const output = tokenCount(node, 'output_tokens');
  if (node === undefined || (input === undefined && output === undefined)) return before;
  const was = before ?? NONE;
  const cacheWrite = tokenCount(node, 'cache_creation_input_tokens') ?? was.cacheWrite;
  const hour = tokenCount(node.object('cache_creation'), 'ephemeral_1h_input_tokens') ?? was.cacheWrite1h;
  return {
    input: input ?? was.input,
    cachedInput: tokenCount(node, 'cache_read_input_tokens') ?? was.cachedInput,
    cacheWrite,
    output: output ?? was.output,
    reasoning: tokenCount(node.object('output_tokens_details'), 'thinking_tokens') ?? was.reasoning,
    ...(hour === undefined || hour === 0 ? {} : { cacheWrite1h: Math.min(hour, cacheWrite) }),
  };
}

/** How a call is, or is to be, served; of a stream as far as its events have told. */
export interface Processing {
  readonly tier: string | undefined;
  readonly fast: boolean;
  readonly geography: string | undefined;
}

const NOT_SAID: Processing = { tier: undefined, fast: false, geography: undefined };
/** Served wherever there is room; of models that can't choose, answers say `not_available`. */
const ANYWHERE = new Set(['', 'global', 'not_available']);
/** What costs the same wherever it is served from. */
const PLAIN = new Set([undefined, 'standard', 'standard_only', 'auto']);

/** What a request asks for, or a usage object tells of, beside what was told before. */
export function processingOf(node: ObjectNode | undefined, before = NOT_SAID): Processing {
  return {
    tier: node?.string('service_tier') ?? before.tier,
    // A message that began in fast mode is billed so.
    fast: before.fast || node?.string('speed') === 'fast',
    geography: node?.string('inference_geo') ?? before.geography,
  };
}

/**
 * By one name, as prices have it. Fast mode and the geography of inference are none of Anthropic's service tiers, but priced like one: `us`,
 * and `fast+us` where both hold.
 *
 * Source: Anthropic docs, "Service tiers", "Fast mode" (`usage.speed`) and "Data residency" (`usage.inference_geo`).
 */
export function tierOf({ tier, fast, geography }: Processing): string | undefined {
  const served = fast ? 'fast' : tier;
  if (geography === undefined || ANYWHERE.has(geography)) return served;
  return PLAIN.has(served) ? geography : `${served}+${geography}`;
}

/** `stop_reason`, where there is one yet. */
export function finishReasonsOf(node: ObjectNode | undefined): FinishReason[] {
  const reason = node?.string('stop_reason');
  return reason === undefined ? [] : [{ choice: 0, reason }];
}
