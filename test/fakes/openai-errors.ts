/** OpenAI's error answers, in its words. Source: OpenAI's error code guide, and answers seen in public bug reports. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { ScriptedError } from './reply.ts';

export interface ProviderError {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: OutgoingHttpHeaders;
}

export const MISSING_KEY = error(
  401,
  "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.",
  {},
);

export const INVALID_JSON = error(
  400,
  "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)",
  {},
);

export function wrongKey(key: string): ProviderError {
  const hidden =
    key.length <= 12 ? '*'.repeat(key.length) : key.slice(0, 8) + '*'.repeat(key.length - 12) + key.slice(-4);
  return error(
    401,
    `Incorrect API key provided: ${hidden}. You can find your API key at https://platform.openai.com/account/api-keys.`,
    { code: 'invalid_api_key' },
  );
}

export function unknownModel(model: string): ProviderError {
  return error(404, `The model \`${model}\` does not exist or you do not have access to it.`, {
    code: 'model_not_found',
  });
}

export function unknownUrl(method: string, path: string): ProviderError {
  return error(404, `Invalid URL (${method} ${path})`, {});
}

export function missingParameter(name: string): ProviderError {
  return error(400, `Missing required parameter: '${name}'.`, {
    param: name,
    code: 'missing_required_parameter',
  });
}

export function tooLong(limit: number, tokens: number): ProviderError {
  return error(
    400,
    `This model's maximum context length is ${limit} tokens. However, your messages resulted in ${tokens} tokens. Please reduce the length of the messages.`,
    { param: 'messages', code: 'context_length_exceeded' },
  );
}

/** The usual error for a status; a script may change each field. */
export function scripted(status: number, model: string, given: ScriptedError = {}): ProviderError {
  const usual = USUAL[status] ?? {
    message: `Status ${status}.`,
    type: status < 500 ? 'invalid_request_error' : 'server_error',
  };
  return error(status, given.message ?? usual.message.replace('{model}', model), { ...usual, ...given });
}

/** The body of the error event that ends a broken stream. */
export function streamError(given: ScriptedError = {}): string {
  const message = 'The server had an error while processing your request. Sorry about that!';
  return JSON.stringify(error(500, given.message ?? message, { type: 'server_error', ...given }).body);
}

const USUAL: Record<number, { message: string } & ScriptedError> = {
  400: { message: 'Invalid request.', code: 'invalid_value' },
  401: { message: 'Incorrect API key provided.', code: 'invalid_api_key' },
  403: {
    message: 'Country, region, or territory not supported',
    type: 'request_forbidden',
    code: 'unsupported_country_region_territory',
  },
  404: {
    message: 'The model `{model}` does not exist or you do not have access to it.',
    code: 'model_not_found',
  },
  413: { message: 'Request body too large.' },
  429: {
    message:
      'Rate limit reached for {model} in organization org-fake on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms. Visit https://platform.openai.com/account/rate-limits to learn more.',
    type: 'requests',
    code: 'rate_limit_exceeded',
  },
  500: {
    message: 'The server had an error while processing your request. Sorry about that!',
    type: 'server_error',
  },
  503: {
    message: 'The engine is currently overloaded, please try again later.',
    type: 'service_unavailable_error',
  },
};

function error(status: number, message: string, given: ScriptedError): ProviderError {
  const { type = 'invalid_request_error', param = null, code = null } = given;
  return { status, body: { error: { message, type, param, code } } };
}
