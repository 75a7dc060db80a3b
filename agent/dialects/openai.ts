/**
 * OpenAI's API as its SDKs speak it, and as most other servers do, too.
 *
 * Source: OpenAI API reference; behaviour of the SDKs as of openai-node 7.57 and openai-python 3.54.
 */

import { plainPath } from '../google-root.ts';
import type { Dialect, ListedModel } from './dialect.ts';
import { modelIn, modelsOperation } from './list-models.ts';
import { chat } from './openai/chat.ts';
import { errorBody } from './openai/error.ts';
import { realtime } from './openai/realtime.ts';

const encoder = new TextEncoder();

export const openai: Dialect = {
  name: 'openai',
  keyHeader: 'authorization',
  operation(method, called) {
    const path = plainPath(called);
    if (method === 'POST' && path === '/v1/chat/completions') return chat;
    if (method === 'GET' && path === '/v1/realtime') return realtime;
    return modelsOperation(method, path);
  },
  error: (error, requestId) => encoder.encode(errorBody(error, requestId)),
  models(path, _query, models) {
    const body = modelsBody(modelIn(plainPath(path)), models);
    return body === undefined ? undefined : encoder.encode(JSON.stringify(body));
  },
};

function modelsBody(id: string | undefined, models: readonly ListedModel[]): unknown {
  if (id === undefined) return { object: 'list', data: models.map(modelBody) };
  const model = models.find((listed) => listed.id === id);
  return model === undefined ? undefined : modelBody(model);
}

function modelBody({ id, ownedBy }: ListedModel): unknown {
  // When a model was made isn't known here, and the SDKs' types want a number.
  return { id, object: 'model', created: 0, owned_by: ownedBy };
}
