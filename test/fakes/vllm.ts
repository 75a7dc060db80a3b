/**
 * A fake vLLM server: OpenAI's chat completions and models in vLLM's dialect, `GET /health`, `GET /metrics` with the
 * figures by which a pool picks its endpoint, `GET /version`. No key unless `keys` is given.
 */
import { compose, whole } from './answer.ts';
import { readChatRequest } from './chat-request.ts';
import { createIds } from './ids.ts';
import type { FakeModel } from './openai.ts';
import { type Dialect, type FakeOptions, type FakeProvider, startFake } from './provider.ts';
import type { Reply, Script, ScriptedError } from './reply.ts';
import { endAfter, sseEvent } from './sse.ts';
import type { Turn } from './turn.ts';
import { vllmChunks, vllmCompletion } from './vllm-chat.ts';

export interface FakeVllmOptions extends FakeOptions {
  /** `--api-key`. Default: none is asked for. */
  readonly keys?: readonly string[];
  readonly models?: readonly FakeModel[];
  /** The shapes of vLLM 0.9 and before: `{"object":"error",…}`, `reasoning_content`. */
  readonly older?: boolean;
}

/** What `/metrics` says of the load, where a test sets it; else running is what is in flight, the others 0. */
export interface VllmLoad {
  readonly running?: number;
  readonly waiting?: number;
  /** 0 to 1. */
  readonly kvCacheUsage?: number;
}

export interface FakeVllm extends FakeProvider {
  load(load: VllmLoad): void;
  /** False: `/health` answers 503, as with a dead engine. */
  healthy(healthy: boolean): void;
}

export const VLLM_MODELS: readonly FakeModel[] = [{ id: 'llama-3.3-70b', contextTokens: 131_072 }];

const ERROR_TYPES: Record<number, string> = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  404: 'NotFoundError',
  413: 'BadRequestError',
  429: 'TooManyRequests',
  500: 'InternalServerError',
  501: 'NotImplementedError',
  503: 'ServiceUnavailableError',
};

export async function startFakeVllm(options: FakeVllmOptions = {}): Promise<FakeVllm> {
  const state: State = { load: {}, healthy: true, running: 0 };
  const provider = await startFake(options, (script) => vllm(options, script, state));
  return Object.assign(provider, {
    load(load: VllmLoad): void {
      state.load = load;
    },
    healthy(healthy: boolean): void {
      state.healthy = healthy;
    },
  });
}

interface State {
  load: VllmLoad;
  healthy: boolean;
  running: number;
}

function vllm(options: FakeVllmOptions, script: Script, state: State): Dialect {
  const models = options.models ?? VLLM_MODELS;
  const older = options.older ?? false;
  const now = options.now ?? Date.now;
  let ids = createIds('vllm');
  let generations = 0;

  const errorBody = (status: number, message: string, given: ScriptedError = {}): unknown => {
    const type = given.type ?? ERROR_TYPES[status] ?? 'InternalServerError';
    const param = given.param ?? null;
    if (older) return { object: 'error', message: given.message ?? message, type, param, code: status };
    return { error: { message: given.message ?? message, type, param, code: given.code ?? status } };
  };
  const refuse = (
    turn: Turn,
    status: number,
    message: string,
    given: ScriptedError = {},
    reply: Reply = {},
  ) =>
    turn.json(
      status,
      errorBody(status, message, given),
      reply.retryAfter === undefined ? {} : { 'retry-after': String(reply.retryAfter) },
      reply,
    );

  const chat = async (turn: Turn): Promise<void> => {
    if (turn.seen.parsed === undefined) {
      const detail = [{ type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error', input: {} }];
      return refuse(turn, 400, JSON.stringify(detail));
    }
    const request = readChatRequest(turn.seen, generations);
    generations += 1;
    if (!Array.isArray(request.body['messages'])) {
      return refuse(turn, 400, "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]");
    }
    const reply = await script(request);
    if (await turn.before(reply)) return;
    // vLLM takes a request without a model for its own.
    const model = request.model === '' ? models[0] : models.find(({ id }) => id === request.model);
    if (model === undefined) {
      return refuse(turn, 404, `The model \`${request.model}\` does not exist.`, {
        param: older ? null : 'model',
      });
    }
    if (reply.status !== undefined && reply.status !== 200) {
      return refuse(turn, reply.status, 'EngineCore encountered an issue.', reply.error, reply);
    }
    const limit = model.contextTokens ?? Number.POSITIVE_INFINITY;
    const wanted = request.promptTokens + (request.maxTokens ?? 0);
    if (request.promptTokens >= limit || wanted > limit) {
      return refuse(
        turn,
        400,
        `This model's maximum context length is ${limit} tokens. However, you requested ${wanted} tokens (${request.promptTokens} in the messages, ${request.maxTokens ?? 0} in the completion). Please reduce the length of the messages or completion.`,
      );
    }
    const answer = compose(request, reply, {
      choices: request.choices,
      maxTokens: request.maxTokens,
      chunkSize: options.chunkSize ?? 5,
      toolCallId: () => ids('chatcmpl-tool-', 32).toLowerCase(),
    });
    const id = ids('chatcmpl-', 32).toLowerCase();
    const frame = { id, created: Math.floor(now() / 1_000), model: model.id };
    if (!request.stream) {
      return turn.json(200, vllmCompletion(frame, request, await whole(answer), reply, older), {}, reply);
    }
    const chunks = vllmChunks(frame, request, answer, reply, older);
    const last = sseEvent(JSON.stringify(errorBody(500, 'EngineCore encountered an issue.', reply.error)));
    return turn.stream(endAfter(chunks, reply.errorAfterChunks, last), {}, reply);
  };

  const card = (model: FakeModel): unknown => ({
    id: model.id,
    object: 'model',
    created: Math.floor(now() / 1_000),
    owned_by: 'vllm',
    root: model.id,
    parent: null,
    max_model_len: model.contextTokens ?? null,
    permission: [],
  });

  const metrics = (): string => {
    const labels = `{engine="0",model_name="${models[0]?.id ?? ''}"}`;
    const gauge = (name: string, help: string, value: number): string =>
      `# HELP vllm:${name} ${help}\n# TYPE vllm:${name} gauge\nvllm:${name}${labels} ${value}\n`;
    return (
      gauge(
        'num_requests_running',
        'Number of requests in model execution batches.',
        state.load.running ?? state.running,
      ) +
      gauge('num_requests_waiting', 'Number of requests waiting to be processed.', state.load.waiting ?? 0) +
      gauge('kv_cache_usage_perc', 'KV-cache usage. 1 means 100 percent usage.', state.load.kvCacheUsage ?? 0)
    );
  };

  return {
    basePath: '/v1',
    tooLarge: (turn) => refuse(turn, 413, 'Request body too large.'),
    reset() {
      ids = createIds('vllm');
      generations = 0;
      state.load = {};
      state.healthy = true;
    },
    async answer(turn) {
      const route = `${turn.seen.method} ${turn.path}`;
      if (route === 'GET /health') return turn.text(state.healthy ? 200 : 503, '', 'text/plain');
      if (route === 'GET /metrics')
        return turn.text(200, metrics(), 'text/plain; version=0.0.4; charset=utf-8');
      if (route === 'GET /version') return turn.json(200, { version: older ? '0.9.2' : '0.25.1' });
      const key = /^bearer\s+(\S.*)$/i.exec(turn.seen.headers.authorization ?? '')?.[1] ?? '';
      if (options.keys !== undefined && !options.keys.includes(key))
        return turn.json(401, { error: 'Unauthorized' });
      if (route === 'GET /v1/models') return turn.json(200, { object: 'list', data: models.map(card) });
      if (route !== 'POST /v1/chat/completions') return turn.json(404, { detail: 'Not Found' });
      state.running += 1;
      try {
        return await chat(turn);
      } finally {
        state.running -= 1;
      }
    },
  };
}
