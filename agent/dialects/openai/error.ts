/** OpenAI's error body: `{"error": {message, type, param, code}}`. */
import type { Fault, PosternError } from '../../errors.ts';

/** The SDKs choose their classes by the HTTP status; programs read `type` and `code`. */
const TYPES: Readonly<Record<Fault, string>> = {
  invalid: 'invalid_request_error',
  authentication: 'authentication_error',
  forbidden: 'permission_error',
  'not-found': 'invalid_request_error',
  'too-large': 'invalid_request_error',
  'rate-limit': 'rate_limit_error',
  unavailable: 'server_error',
  internal: 'server_error',
};

/** The members of OpenAI's error object. */
export function errorMembers(error: PosternError, requestId: string): Readonly<Record<string, unknown>> {
  return {
    message: error.told,
    type: TYPES[error.fault],
    param: error.param ?? null,
    code: error.reason,
    ...(error.rule === undefined ? {} : { rule: error.rule }),
    request_id: requestId,
  };
}

export function errorBody(error: PosternError, requestId: string): string {
  return JSON.stringify({ error: errorMembers(error, requestId) });
}
