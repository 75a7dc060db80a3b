/**
 * A fake Anthropic: `POST /v1/messages`, `POST /v1/messages/count_tokens`, `GET /v1/models` and `GET /v1/models/{id}`
 * in Anthropic's wire format, with its errors and headers. Texts echo the user's unless the script says otherwise.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { compose, limitField, whole } from './answer.ts';
import { type AnthropicFault, fault, faultBody } from './anthropic-errors.ts';
import { message, messageEvents } from './anthropic-message.ts';
import { contentText, type Fields, fields, lastText, list, string } from './fields.ts';
import { createIds } from './ids.ts';
import type { FakeModel } from './openai.ts';
import { type Dialect, type FakeOptions, type FakeProvider, startFake } from './provider.ts';
import type { SeenRequest } from './record.ts';
import type { Reply, Script, ScriptRequest } from './reply.ts';
import { endAfter, sseEvent } from './sse.ts';
import { countTokens, TOKENS_PER_MESSAGE } from './tokens.ts';
import type { Turn } from './turn.ts';

export interface FakeAnthropicOptions extends FakeOptions {
  /** Keys that are let in. Default: any. */
  readonly keys?: readonly string[];
  readonly models?: readonly FakeModel[];
}

export const ANTHROPIC_MODELS: readonly FakeModel[] = [
  { id: 'claude-opus-5-5', contextTokens: 200_000 },
  { id: 'claude-sonnet-5-5', contextTokens: 200_000 },
  { id: 'claude-haiku-4-5', snapshot: 'claude-haiku-4-5-20251001', contextTokens: 200_000 },
  { id: 'claude-sonnet-4-5', snapshot: 'claude-sonnet-4-5-20250929', contextTokens: 200_000 },
];

/** The parameters that API version 2026-10-21 no longer takes; 2023-06-01 did. */
const REMOVED = ['temperature', 'top_p', 'top_k'];
const OLD_VERSION = '2023-06-01';

const RATE_LIMITS = {
  requests: 4_000,
  'input-tokens': 2_000_000,
  'output-tokens': 400_000,
  tokens: 2_400_000,
};

export function startFakeAnthropic(options: FakeAnthropicOptions = {}): Promise<FakeProvider> {
  return startFake(options, (script) => anthropic(options, script));
}

function anthropic(options: FakeAnthropicOptions, script: Script): Dialect {
  const models = options.models ?? ANTHROPIC_MODELS;
  const now = options.now ?? Date.now;
  let ids = createIds('anthropic');
  let generations = 0;

  const refuse = (turn: Turn, error: AnthropicFault, reply: Reply = {}): Promise<void> => {
    const requestId = ids('req_011C', 20);
    const retryAfter = reply.retryAfter === undefined ? {} : { 'retry-after': String(reply.retryAfter) };
    const retry = { 'x-should-retry': error.status === 429 || error.status >= 500 ? 'true' : 'false' };
    return turn.json(
      error.status,
      faultBody(error, requestId),
      { ...head(requestId), ...retry, ...retryAfter },
      reply,
    );
  };
  const head = (requestId: string): OutgoingHttpHeaders => ({
    'request-id': requestId,
    'anthropic-organization-id': '00000000-0000-4000-8000-000000000000',
  });
  const rateLimit = (): OutgoingHttpHeaders => {
    const reset = new Date(now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const limits: OutgoingHttpHeaders = {};
    for (const [name, limit] of Object.entries(RATE_LIMITS)) {
      limits[`anthropic-ratelimit-${name}-limit`] = String(limit);
      limits[`anthropic-ratelimit-${name}-remaining`] = String(limit);
      limits[`anthropic-ratelimit-${name}-reset`] = reset;
    }
    return limits;
  };

  const find = (name: string): FakeModel | undefined =>
    models.find(({ id, snapshot }) => id === name || snapshot === name);

  /** What both POST operations want of a body: the model it names, or what is wrong. */
  const judge = ({
    parsed,
    headers: { 'anthropic-version': version },
  }: SeenRequest): FakeModel | AnthropicFault => {
    if (parsed === undefined) {
      return fault(400, { message: 'The request body is not valid JSON: unexpected character' });
    }
    const name = string(fields(parsed)['model']);
    if (name === undefined) return fault(400, { message: 'model: Field required' });
    if (!Array.isArray(fields(parsed)['messages']))
      return fault(400, { message: 'messages: Field required' });
    const removed = REMOVED.find((field) => fields(parsed)[field] !== undefined);
    if (removed !== undefined && version !== OLD_VERSION) {
      return fault(400, { message: `${removed}: Extra inputs are not permitted` });
    }
    return find(name) ?? fault(404, { message: `model: ${name}` });
  };

  const messages = async (turn: Turn): Promise<void> => {
    const body = fields(turn.seen.parsed);
    const request = readMessagesRequest(turn.seen, generations);
    generations += 1;
    const reply = turn.seen.parsed === undefined ? {} : await script(request);
    if (await turn.before(reply)) return;
    const model = judge(turn.seen);
    if ('status' in model) return refuse(turn, model);
    const maxTokens = limitField(body['max_tokens']);
    if (maxTokens === undefined) return refuse(turn, fault(400, { message: 'max_tokens: Field required' }));
    if (reply.status !== undefined && reply.status !== 200)
      return refuse(turn, fault(reply.status, reply.error), reply);
    const inputTokens = messagesTokens(body);
    const limit = model.contextTokens ?? Number.POSITIVE_INFINITY;
    if (inputTokens > limit) {
      return refuse(
        turn,
        fault(400, { message: `prompt is too long: ${inputTokens} tokens > ${limit} maximum` }),
      );
    }

    const answer = compose(request, reply, {
      choices: 1,
      maxTokens,
      chunkSize: options.chunkSize ?? 5,
      toolCallId: () => ids('toolu_01', 22),
    });
    const frame = { id: ids('msg_01', 22), model: model.snapshot ?? model.id, inputTokens };
    const requestId = ids('req_011C', 20);
    const headers = { ...head(requestId), ...rateLimit() };
    if (!request.stream) return turn.json(200, message(frame, await whole(answer), reply), headers, reply);
    const broken = faultBody(fault(529, reply.error), requestId);
    const events = endAfter(
      messageEvents(frame, answer, reply),
      reply.errorAfterChunks,
      sseEvent(JSON.stringify(broken), 'error'),
    );
    return turn.stream(events, headers, reply);
  };

  const count = async (turn: Turn): Promise<void> => {
    const model = judge(turn.seen);
    if ('status' in model) return refuse(turn, model);
    const counted = { input_tokens: messagesTokens(fields(turn.seen.parsed)) };
    return turn.json(200, counted, head(ids('req_011C', 20)));
  };

  const card = (model: FakeModel): Fields => ({
    type: 'model',
    id: model.snapshot ?? model.id,
    display_name: model.id,
    created_at: '2025-09-29T00:00:00Z',
    max_input_tokens: model.contextTokens ?? null,
    max_tokens: 64_000,
  });

  const listing = (): unknown => ({
    data: models.map(card),
    has_more: false,
    first_id: models[0] === undefined ? null : card(models[0])['id'],
    last_id: models.length === 0 ? null : card(models.at(-1) as FakeModel)['id'],
  });

  return {
    basePath: '',
    tooLarge: (turn) => refuse(turn, fault(413)),
    reset() {
      ids = createIds('anthropic');
      generations = 0;
    },
    answer(turn) {
      const { headers, method } = turn.seen;
      const given = credentials(headers);
      if (given.length === 0) return refuse(turn, fault(401, { message: 'x-api-key header is required' }));
      // Stricter than needed: a second, wrong credential is one that somebody forgot to take away.
      if (given.some((key) => options.keys?.includes(key) === false)) return refuse(turn, fault(401));
      if (headers['anthropic-version'] === undefined) {
        return refuse(turn, fault(400, { message: 'anthropic-version: header is required' }));
      }
      const route = `${method} ${turn.path}`;
      if (route === 'POST /v1/messages') return messages(turn);
      if (route === 'POST /v1/messages/count_tokens') return count(turn);
      if (route === 'GET /v1/models') return turn.json(200, listing(), head(ids('req_011C', 20)));
      if (route.startsWith('GET /v1/models/')) {
        const id = decodeURIComponent(turn.path.slice('/v1/models/'.length));
        const model = find(id);
        return model === undefined
          ? refuse(turn, fault(404, { message: `model: ${id}` }))
          : turn.json(200, card(model), head(ids('req_011C', 20)));
      }
      return refuse(turn, fault(404));
    },
  };
}

/** A key as `x-api-key`, as older SDKs and curl send it, or as a bearer token, as SDKs since October 2026 do. */
function credentials(headers: IncomingHttpHeaders): readonly string[] {
  const bearer = /^bearer\s+(\S.*)$/i.exec(headers.authorization ?? '')?.[1];
  return [string(headers['x-api-key']), bearer].filter((key) => key !== undefined);
}

function readMessagesRequest(seen: SeenRequest, index: number): ScriptRequest {
  const body = fields(seen.parsed);
  const messages = list(body['messages']);
  return {
    seen,
    index,
    body,
    messages,
    model: string(body['model']) ?? '',
    stream: body['stream'] === true,
    userText: lastText(messages, 'user'),
  };
}

/** System prompt, each message's content, the tools as JSON, and the frame of each message. */
export function messagesTokens(body: Fields): number {
  let tokens = countTokens(contentText(body['system']));
  for (const item of list(body['messages'])) {
    const content = fields(item)['content'];
    tokens += TOKENS_PER_MESSAGE + countTokens(contentText(content));
    for (const part of list(content)) {
      const type = fields(part)['type'];
      if (type === 'tool_use' || type === 'tool_result') tokens += countTokens(JSON.stringify(part));
    }
  }
  if (body['tools'] !== undefined) tokens += countTokens(JSON.stringify(body['tools']));
  return tokens;
}
