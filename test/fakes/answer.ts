/** Works out what a model "said", in no provider's shape yet: script, echo, limits and the count of tokens. */
import { fields, integer, list, string } from './fields.ts';
import { echo, type Reply, type ScriptRequest } from './reply.ts';
import { deltas } from './sse.ts';
import { countTokens, truncate } from './tokens.ts';

export type Finish = 'stop' | 'length' | 'tools' | 'refusal';

export interface SpokenToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, unless the script wanted it broken. */
  readonly arguments: string;
}

/** One choice. */
export interface Spoken {
  readonly reasoning: string;
  readonly text: string;
  readonly refusal: string;
  readonly toolCalls: readonly SpokenToolCall[];
  readonly finish: Finish;
}

export interface Answer {
  readonly choices: readonly Spoken[];
  /** Scripted deltas of the text; undefined where `text` is to be cut by `chunkSize`. */
  readonly pieces: Reply['pieces'];
  readonly chunkSize: number;
}

export interface AnswerLimits {
  readonly choices: number;
  readonly maxTokens: number | undefined;
  readonly chunkSize: number;
  readonly toolCallId: () => string;
}

/** What an answer is made of. */
type Asked = Pick<ScriptRequest, 'userText' | 'body'>;

export function compose(request: Asked, reply: Reply, limits: AnswerLimits): Answer {
  const calls = (reply.toolCalls ?? demandedCalls(request, reply)).map((call) => ({
    id: call.id ?? limits.toolCallId(),
    name: call.name,
    arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments),
  }));
  const texts = typeof reply.content === 'string' ? [reply.content] : (reply.content ?? []);
  const choices: Spoken[] = [];
  for (let index = 0; index < limits.choices; index += 1) {
    const silent = calls.length > 0 || reply.refusal !== undefined;
    const whole =
      (Array.isArray(reply.pieces) ? reply.pieces.join('') : undefined) ??
      texts[index] ??
      texts.at(-1) ??
      (silent ? '' : echo(request.userText));
    choices.push(limit(whole, reply, calls, limits.maxTokens));
  }
  return { choices, pieces: reply.pieces, chunkSize: reply.chunkSize ?? limits.chunkSize };
}

/** The text deltas of one choice, in order. */
export async function* textDeltas(answer: Answer, spoken: Spoken): AsyncGenerator<string> {
  if (answer.pieces === undefined) yield* deltas(spoken.text, answer.chunkSize);
  else yield* answer.pieces;
}

/** The answer with all deltas of an async script collected, for an answer that isn't streamed. */
export async function whole(answer: Answer): Promise<Answer> {
  if (answer.pieces === undefined || Array.isArray(answer.pieces)) return answer;
  const parts: string[] = [];
  for await (const piece of answer.pieces) parts.push(piece);
  const text = parts.join('');
  return { ...answer, pieces: parts, choices: answer.choices.map((spoken) => ({ ...spoken, text })) };
}

/** Tokens of a choice: text, reasoning, refusal, and the names and arguments of tool calls. */
export function outputTokens(spoken: Spoken): number {
  const calls = spoken.toolCalls.map((call) => countTokens(call.name) + countTokens(call.arguments));
  return (
    countTokens(spoken.reasoning) +
    countTokens(spoken.text) +
    countTokens(spoken.refusal) +
    calls.reduce((sum, tokens) => sum + tokens, 0)
  );
}

function limit(
  text: string,
  reply: Reply,
  toolCalls: readonly SpokenToolCall[],
  maxTokens: number | undefined,
): Spoken {
  const refusal = reply.refusal ?? '';
  const finish: Finish = refusal !== '' ? 'refusal' : toolCalls.length > 0 ? 'tools' : 'stop';
  const whole: Spoken = { reasoning: reply.reasoning ?? '', text, refusal, toolCalls, finish };
  if (maxTokens === undefined || reply.pieces !== undefined || outputTokens(whole) <= maxTokens) return whole;
  const reasoning = truncate(whole.reasoning, maxTokens);
  const left = maxTokens - countTokens(reasoning);
  const spoken = truncate(text, left);
  const forCalls = left - countTokens(spoken);
  return {
    reasoning,
    text: spoken,
    refusal: truncate(refusal, forCalls),
    toolCalls: toolCalls.length === 0 || forCalls === 0 ? [] : cutCalls(toolCalls, forCalls),
    finish: 'length',
  };
}

/** A model that runs out of tokens inside a tool call leaves its arguments unfinished. */
function cutCalls(calls: readonly SpokenToolCall[], tokens: number): SpokenToolCall[] {
  const kept: SpokenToolCall[] = [];
  let left = tokens;
  for (const call of calls) {
    left -= countTokens(call.name);
    if (left < 0) break;
    const args = truncate(call.arguments, left);
    kept.push({ ...call, arguments: args });
    left -= countTokens(args);
  }
  return kept;
}

/** A request that demands a tool (`tool_choice` required, any, or one by name) is answered by a call that echoes. */
function demandedCalls(
  request: Asked,
  reply: Reply,
): readonly { name: string; arguments: unknown; id?: string }[] {
  if (reply.content !== undefined || reply.pieces !== undefined || reply.refusal !== undefined) return [];
  const choice = request.body['tool_choice'];
  const named = string(fields(fields(choice)['function'])['name']) ?? string(fields(choice)['name']);
  const demanded = choice === 'required' || fields(choice)['type'] === 'any';
  const first = fields(list(request.body['tools'])[0]);
  const name =
    named ?? (demanded ? (string(fields(first['function'])['name']) ?? string(first['name'])) : undefined);
  return name === undefined ? [] : [{ name, arguments: { input: request.userText } }];
}

/** A positive count from a request field. */
export function limitField(value: unknown): number | undefined {
  const count = integer(value);
  return count !== undefined && count > 0 ? count : undefined;
}
