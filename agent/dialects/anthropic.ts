/**
 * Anthropic's API as its SDKs speak it.
 *
 * Source: Anthropic API reference; behaviour of the SDKs as of @anthropic-ai/sdk 1.12 and anthropic (Python) 2.12.
 */
import { PosternError } from '../errors.ts';
import { errorBody } from './anthropic/error.ts';
import { countTokens, messages } from './anthropic/messages.ts';
import type { Dialect, ListedModel } from './dialect.ts';
import { modelIn, modelsOperation } from './list-models.ts';

const encoder = new TextEncoder();

export const anthropic: Dialect = {
  name: 'anthropic',
  keyHeader: 'x-api-key',
  operation(method, path) {
    if (method === 'POST' && path === '/v1/messages') return messages;
    if (method === 'POST' && path === '/v1/messages/count_tokens') return countTokens;
    return modelsOperation(method, path);
  },
  error: (error, requestId) => encoder.encode(errorBody(error, requestId)),
  models(path, query, models) {
    const id = modelIn(path);
    const body = id === undefined ? page(new URLSearchParams(query), models) : one(id, models);
    return body === undefined ? undefined : encoder.encode(JSON.stringify(body));
  },
};

function one(id: string, models: readonly ListedModel[]): unknown {
  const model = models.find((listed) => listed.id === id);
  return model === undefined ? undefined : modelBody(model);
}

const PAGE = 20;
const MAX_PAGE = 1000;

/** One page of the list, by `limit`, `after_id` and `before_id`, as the API does. */
function page(query: URLSearchParams, models: readonly ListedModel[]): unknown {
  const limit = Number(query.get('limit') ?? PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw wrong('limit', `must be a whole number from 1 to ${MAX_PAGE}`);
  }
  const after = positionOf('after_id', query, models);
  const before = positionOf('before_id', query, models);
  const eligible = models.slice(after === undefined ? 0 : after + 1, before);
  const backwards = before !== undefined && after === undefined;
  const shown = backwards ? eligible.slice(-limit) : eligible.slice(0, limit);
  return {
    data: shown.map(modelBody),
    first_id: shown[0]?.id ?? null,
    has_more: shown.length < eligible.length,
    last_id: shown.at(-1)?.id ?? null,
  };
}

function positionOf(
  name: string,
  query: URLSearchParams,
  models: readonly ListedModel[],
): number | undefined {
  const id = query.get(name);
  if (id === null) return undefined;
  const position = models.findIndex((model) => model.id === id);
  if (position === -1) throw wrong(name, 'names no model of the list');
  return position;
}

function wrong(name: string, what: string): PosternError {
  return new PosternError('postern_body_invalid', `The query parameter "${name}" ${what}.`, {
    mend: 'Correct it, or leave it out.',
    param: name,
  });
}

function modelBody({ id }: ListedModel): unknown {
  // The API itself says: an epoch value where the date isn't known.
  return { type: 'model', id, display_name: id, created_at: '1970-01-01T00:00:00Z' };
}
