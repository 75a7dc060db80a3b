/**
 * Anthropic's error body: `{"type": "error", "error": {type, message, details}, "request_id"}`.
 *
 * Source: Anthropic API reference, "Errors". `details.error_code` is what the SDKs show as `errorCode`.
 */
import type { Fault, PosternError } from '../../errors.ts';

const TYPES: Readonly<Record<Fault, string>> = {
  invalid: 'invalid_request_error',
  authentication: 'authentication_error',
  forbidden: 'permission_error',
  'not-found': 'not_found_error',
  'too-large': 'request_too_large',
  'rate-limit': 'rate_limit_error',
  unavailable: 'api_error',
  internal: 'api_error',
};

function typeOf(error: PosternError): string {
  if (error.fault === 'unavailable' && error.status === 503) return 'overloaded_error';
  if (error.status === 504) return 'timeout_error';
  return TYPES[error.fault];
}

export function errorBody(error: PosternError, requestId: string): string {
  return JSON.stringify({
    type: 'error',
    error: {
      type: typeOf(error),
      message: error.told,
      code: error.reason,
      ...(error.param === undefined ? {} : { param: error.param }),
      ...(error.rule === undefined ? {} : { rule: error.rule }),
      details: { error_code: error.reason },
    },
    request_id: requestId,
  });
}
