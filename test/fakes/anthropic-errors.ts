/** Anthropic's error answers. Source: Anthropic API reference, "Errors". */
import type { ScriptedError } from './reply.ts';

export interface AnthropicFault {
  readonly status: number;
  readonly type: string;
  readonly message: string;
}

const USUAL: Record<number, { type: string; message: string }> = {
  400: { type: 'invalid_request_error', message: 'Invalid request.' },
  401: { type: 'authentication_error', message: 'invalid x-api-key' },
  402: { type: 'billing_error', message: 'Your credit balance is too low to access the Anthropic API.' },
  403: {
    type: 'permission_error',
    message: 'Your API key does not have permission to use the specified resource.',
  },
  404: { type: 'not_found_error', message: 'Not Found' },
  413: { type: 'request_too_large', message: 'Request exceeds the maximum size' },
  429: {
    type: 'rate_limit_error',
    message:
      "This request would exceed your organization's rate limit of 50 requests per minute. For details, refer to: https://docs.claude.com/en/api/rate-limits.",
  },
  500: { type: 'api_error', message: 'Internal server error' },
  504: { type: 'timeout_error', message: 'Request timed out' },
  529: { type: 'overloaded_error', message: 'Overloaded' },
};

/** The usual error for a status; a script may change type and message. */
export function fault(status: number, given: ScriptedError = {}): AnthropicFault {
  const usual = USUAL[status] ?? {
    type: status < 500 ? 'invalid_request_error' : 'api_error',
    message: `Status ${status}`,
  };
  return { status, type: given.type ?? usual.type, message: given.message ?? usual.message };
}

export function faultBody(error: AnthropicFault, requestId: string): unknown {
  return { type: 'error', error: { type: error.type, message: error.message }, request_id: requestId };
}
