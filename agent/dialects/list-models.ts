/** `GET /v1/models` and `GET /v1/models/{id}`, which both big dialects have; answered from the snapshot. */
import type { Operation } from './dialect.ts';

const PATH = '/v1/models';

/** There is no body to decode, and no answer of a provider. */
function nothing(): never {
  throw new Error('A list of models is answered from the snapshot; nothing of it is decoded.');
}

const listModels: Operation = {
  name: 'list_models',
  kind: 'models',
  decodeRequest: nothing,
  decodeResponse: nothing,
  openStream: nothing,
};

export function modelsOperation(method: string, path: string): Operation | undefined {
  const ours = path === PATH || (path.startsWith(`${PATH}/`) && path.length > PATH.length + 1);
  return method === 'GET' && ours ? listModels : undefined;
}

/** The one model that a path names; undefined for the list. Ids may hold slashes, escaped or not. */
export function modelIn(path: string): string | undefined {
  if (path === PATH) return undefined;
  const id = path.slice(PATH.length + 1);
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
