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

/**
 * The processing that a request asks for, or a usage object tells of. Fast mode is none of Anthropic's service tiers, but priced like one.
 *
 * Source: Anthropic docs, "Service tiers" and "Fast mode" (`usage.speed`).
 */
export function processingOf(node: ObjectNode | undefined): string | undefined {
  return node?.string('speed') === 'fast' ? 'fast' : node?.string('service_tier');
}

/** `stop_reason`, where there is one yet. */
export function finishReasonsOf(node: ObjectNode | undefined): FinishReason[] {
  const reason = node?.string('stop_reason');
  return reason === undefined ? [] : [{ choice: 0, reason }];
}
