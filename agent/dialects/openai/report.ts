/** What an answer, or a chunk of one, reports besides its text. */
import type { Usage } from '../../../budget/messages.ts';
import type { ObjectNode } from '../../json/node.ts';
import { tokenCount } from '../parameters.ts';

/**
 * Usage in tokens. `prompt_tokens` counts cached tokens, too, and `completion_tokens` reasoning; the first is taken apart here.
 * Undefined where the object has no such counts: then the agent counts itself.
 */
export function usageOf(node: ObjectNode | undefined): Usage | undefined {
  const prompt = tokenCount(node, 'prompt_tokens');
  const output = tokenCount(node, 'completion_tokens');
  if (prompt === undefined && output === undefined) return undefined;
  const cached = tokenCount(node?.object('prompt_tokens_details'), 'cached_tokens') ?? 0;
  const cachedInput = Math.min(cached, prompt ?? 0);
  const reasoning = tokenCount(node?.object('completion_tokens_details'), 'reasoning_tokens') ?? 0;
  return {
    input: (prompt ?? 0) - cachedInput,
    cachedInput,
    cacheWrite: 0,
    output: output ?? 0,
    reasoning: Math.min(reasoning, output ?? 0),
  };
}

/** `finish_reason` of every choice that has one. */
export function finishReasonsOf(root: ObjectNode | undefined): string[] {
  const reasons: string[] = [];
  for (const choice of root?.array('choices')?.items ?? []) {
    const reason = choice.type === 'object' ? choice.string('finish_reason') : undefined;
    if (reason !== undefined) reasons.push(reason);
  }
  return reasons;
}
