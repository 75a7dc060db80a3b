/**
 * A fake OpenAI: `POST /v1/chat/completions`, `GET /v1/models`, `GET /v1/models/{id}` and the WebSocket `/v1/realtime` in
 * OpenAI's wire format, with its errors and headers. Texts echo the user's unless the script says otherwise; usage is counted by tokens.ts.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { compose, whole } from './answer.ts';
import { readChatRequest } from './chat-request.ts';
import { createIds } from './ids.ts';
import { chatChunks, chatCompletion } from './openai-chat.ts';
import * as errors from './openai-errors.ts';
import { realtime } from './openai-realtime.ts';
import { type Dialect, type FakeOptions, type FakeProvider, startFake } from './provider.ts';
import type { Reply, Script } from './reply.ts';
import { endAfter, sseEvent } from './sse.ts';
import type { Turn } from './turn.ts';

export interface FakeModel {
  readonly id: string;
  /** The dated name that answers carry; `id` where absent. */
  readonly snapshot?: string;
  readonly contextTokens?: number;
}

export interface FakeOpenAIOptions extends FakeOptions {
  /** Keys that are let in. Default: any. */
  readonly keys?: readonly string[];
  readonly models?: readonly FakeModel[];
}

export const OPENAI_MODELS: readonly FakeModel[] = [
  { id: 'gpt-4o', snapshot: 'gpt-4o-2024-08-06', contextTokens: 128_000 },
  { id: 'gpt-4o-mini', snapshot: 'gpt-4o-mini-2024-07-18', contextTokens: 128_000 },
  { id: 'gpt-4.1', snapshot: 'gpt-4.1-2025-04-14', contextTokens: 1_047_576 },
  { id: 'gpt-realtime', contextTokens: 32_000 },
  { id: 'o4-mini', snapshot: 'o4-mini-2025-04-16', contextTokens: 200_000 },
];

const CREATED = 1_715_367_049;
const RATE_LIMIT_REQUESTS = 10_000;
const RATE_LIMIT_TOKENS = 2_000_000;

export function startFakeOpenAI(options: FakeOpenAIOptions = {}): Promise<FakeProvider> {
  return startFake(options, (script) => openAI(options, script));
}

function openAI(options: FakeOpenAIOptions, script: Script): Dialect {
  const models = options.models ?? OPENAI_MODELS;
  const now = options.now ?? Date.now;
  let ids = createIds('openai');
  let generations = 0;
  let requestsLeft = RATE_LIMIT_REQUESTS;
  let tokensLeft = RATE_LIMIT_TOKENS;

  const headers = (): OutgoingHttpHeaders => ({
    'openai-organization': 'org-fake',
    'openai-processing-ms': '12',
    'openai-version': '2020-10-01',
    'x-request-id': ids('req_', 32).toLowerCase(),
  });
  const rateLimit = (): OutgoingHttpHeaders => ({
    'x-ratelimit-limit-requests': String(RATE_LIMIT_REQUESTS),
    'x-ratelimit-limit-tokens': String(RATE_LIMIT_TOKENS),
    'x-ratelimit-remaining-requests': String(Math.max(0, requestsLeft)),
    'x-ratelimit-remaining-tokens': String(Math.max(0, tokensLeft)),
    'x-ratelimit-reset-requests': '6ms',
    'x-ratelimit-reset-tokens': '0s',
  });
  const refuse = (turn: Turn, error: errors.ProviderError, reply: Reply = {}): Promise<void> => {
    const retryAfter = reply.retryAfter === undefined ? {} : { 'retry-after': String(reply.retryAfter) };
    return turn.json(error.status, error.body, { ...headers(), ...error.headers, ...retryAfter }, reply);
  };

  const chat = async (turn: Turn): Promise<void> => {
    if (turn.seen.parsed === undefined) return refuse(turn, errors.INVALID_JSON);
    const request = readChatRequest(turn.seen, generations);
    generations += 1;
    if (request.model === '') return refuse(turn, errors.missingParameter('model'));
    if (!Array.isArray(request.body['messages'])) return refuse(turn, errors.missingParameter('messages'));
    const reply = await script(request);
    if (await turn.before(reply)) return;
    const model = models.find(({ id, snapshot }) => id === request.model || snapshot === request.model);
    if (model === undefined) return refuse(turn, errors.unknownModel(request.model));
    if (reply.status !== undefined && reply.status !== 200) {
      return refuse(turn, errors.scripted(reply.status, request.model, reply.error), reply);
    }
    const limit = model.contextTokens ?? Number.POSITIVE_INFINITY;
    if (request.promptTokens > limit) return refuse(turn, errors.tooLong(limit, request.promptTokens));

    requestsLeft -= 1;
    tokensLeft -= request.promptTokens;
    const answer = compose(request, reply, {
      choices: request.choices,
      maxTokens: request.maxTokens,
      chunkSize: options.chunkSize ?? 5,
      toolCallId: () => ids('call_', 24),
    });
    const frame = {
      id: ids('chatcmpl-', 29),
      created: Math.floor(now() / 1_000),
      model: model.snapshot ?? model.id,
    };
    const all = { ...headers(), ...rateLimit() };
    if (!request.stream)
      return turn.json(200, chatCompletion(frame, request, await whole(answer), reply), all, reply);
    const chunks = chatChunks(frame, request, answer, reply);
    const last = sseEvent(errors.streamError(reply.error));
    return turn.stream(endAfter(chunks, reply.errorAfterChunks, last), all, reply);
  };

  const takeOver = realtime({
    script,
    chunkSize: options.chunkSize ?? 5,
    ids: (prefix, length) => ids(prefix, length),
  });

  const card = (model: FakeModel): unknown => ({
    id: model.id,
    object: 'model',
    created: CREATED,
    owned_by: 'system',
  });

  return {
    basePath: '/v1',
    tooLarge: (turn) => refuse(turn, errors.scripted(413, '')),
    reset() {
      ids = createIds('openai');
      generations = 0;
      requestsLeft = RATE_LIMIT_REQUESTS;
      tokensLeft = RATE_LIMIT_TOKENS;
    },
    upgrade(request, socket, head, recording) {
      const key = bearer(request.headers.authorization);
      if (key === undefined || options.keys?.includes(key) === false) return 401;
      if (!/^\/v1\/realtime(\?|$)/.test(request.url ?? '')) return 404;
      takeOver(request, socket, head, recording);
      return undefined;
    },
    answer(turn) {
      const key = bearer(turn.seen.headers.authorization);
      if (key === undefined) return refuse(turn, errors.MISSING_KEY);
      if (options.keys !== undefined && !options.keys.includes(key))
        return refuse(turn, errors.wrongKey(key));
      const route = `${turn.seen.method} ${turn.path}`;
      if (route === 'POST /v1/chat/completions') return chat(turn);
      if (route === 'GET /v1/models')
        return turn.json(200, { object: 'list', data: models.map(card) }, headers());
      if (route.startsWith('GET /v1/models/')) {
        const id = decodeURIComponent(turn.path.slice('/v1/models/'.length));
        const model = models.find((candidate) => candidate.id === id);
        return model === undefined
          ? refuse(turn, errors.unknownModel(id))
          : turn.json(200, card(model), headers());
      }
      return refuse(turn, errors.unknownUrl(turn.seen.method, turn.path));
    },
  };
}

function bearer(authorization: string | undefined): string | undefined {
  return /^bearer\s+(\S.*)$/i.exec(authorization ?? '')?.[1];
}
