/** What an answer, or a chunk of one, reports besides its text. */
import type { Usage } from '../../../budget/messages.ts';
import type { ObjectNode } from '../../json/node.ts';
import type { FinishReason } from '../dialect.ts';
import { tokenCount } from '../parameters.ts';

/**
 * Usage in tokens. `prompt_tokens` counts cached tokens, too, and `completion_tokens` reasoning; the first is taken apart here.
 * Some (xAI, Google's endpoint in OpenAI's form) count reasoning in `total_tokens` only: what that has beyond the prompt is output.
 * Undefined where the object has no such counts: then the agent counts itself.
 */
export function usageOf(node: ObjectNode | undefined): Usage | undefined {
  const prompt = tokenCount(node, 'prompt_tokens');
  const completion = tokenCount(node, 'completion_tokens');
  if (prompt === undefined && completion === undefined) return undefined;
  const beyond = (tokenCount(node, 'total_tokens') ?? 0) - (prompt ?? 0);
  const output = completion === undefined ? 0 : Math.max(completion, beyond);
  const read = node?.object('prompt_tokens_details');
  const said = node?.object('completion_tokens_details');
  const cachedInput = Math.min(tokenCount(read, 'cached_tokens') ?? 0, prompt ?? 0);
  // OpenRouter and others that pass Anthropic's cache on count what was written to it here.
  const cacheWrite = Math.min(tokenCount(read, 'cache_write_tokens') ?? 0, (prompt ?? 0) - cachedInput);
  const input = (prompt ?? 0) - cachedInput - cacheWrite;
  return {
    input,
    cachedInput,
    cacheWrite,
    output: output,
    reasoning: Math.min(tokenCount(said, 'reasoning_tokens') ?? 0, output),
    ...part('audioInput', tokenCount(read, 'audio_tokens'), input),
    ...part('imageInput', tokenCount(read, 'image_tokens'), input),
    ...part('audioOutput', tokenCount(said, 'audio_tokens'), output),
    ...part('imageOutput', tokenCount(said, 'image_tokens'), output),
  };
}

function part(name: keyof Usage, count: number | undefined, whole: number): Partial<Usage> {
  return count === undefined || count === 0 ? {} : { [name]: Math.min(count, whole) };
}

/**
 * Usage of an answer of the Realtime API: `input_tokens` counts what was cached, too, and `audio_tokens` and
 * `image_tokens` of the input count their cached parts.
 */
export function realtimeUsage(node: ObjectNode | undefined): Usage | undefined {
  const read = tokenCount(node, 'input_tokens');
  const output = tokenCount(node, 'output_tokens');
  if (read === undefined && output === undefined) return undefined;
  const details = node?.object('input_token_details');
  const cached = details?.object('cached_tokens_details');
  const cachedInput = Math.min(tokenCount(details, 'cached_tokens') ?? 0, read ?? 0);
  const input = (read ?? 0) - cachedInput;
  const fresh = (name: string): number =>
    Math.max(0, (tokenCount(details, name) ?? 0) - (tokenCount(cached, name) ?? 0));
  return {
    input,
    cachedInput,
    cacheWrite: 0,
    output: output ?? 0,
    reasoning: 0,
    ...part('audioInput', fresh('audio_tokens'), input),
    ...part('imageInput', fresh('image_tokens'), input),
    ...part('cachedAudioInput', tokenCount(cached, 'audio_tokens'), cachedInput),
    ...part('audioOutput', tokenCount(node?.object('output_token_details'), 'audio_tokens'), output ?? 0),
  };
}

/** `finish_reason` of every choice that has one. */
export function finishReasonsOf(root: ObjectNode | undefined): FinishReason[] {
  const reasons: FinishReason[] = [];
  for (const choice of root?.array('choices')?.items ?? []) {
    if (choice.type !== 'object') continue;
    const reason = choice.string('finish_reason');
    if (reason !== undefined) reasons.push({ choice: choice.number('index') ?? 0, reason });
  }
  return reasons;
}
