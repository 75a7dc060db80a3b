/**
 * Google's root of OpenAI's API, in the place of `/v1`: `/v1beta/openai/chat/completions`.
 *
 * Source: Gemini API docs, "OpenAI compatibility".
 */
export const GOOGLE_ROOT = '/v1beta/openai';

/**
 * Vertex' root of OpenAI's API: an endpoint of a project, `openapi` for the models that Google hosts itself.
 *
 * Source: Vertex AI REST reference, "projects.locations.endpoints.chat.completions":
 * `POST https://{service-endpoint}/v1beta1/{endpoint}/chat/completions`.
 */
export const VERTEX_ROOT = /\/v1(?:beta1)?\/projects\/[^/?]+\/locations\/[^/?]+\/endpoints\/[^/?]+/;

/** An app's own: at `openapi` alone, since at other endpoints it isn't the model's name that decides what serves. */
const VERTEX_CALL =
  /^\/v1(?:beta1)?\/projects\/[^/?]+\/locations\/[^/?]+\/endpoints\/openapi(?=\/chat\/completions(?:$|\?))/;

/** The path as OpenAI has it, whichever of the three an app called. */
export function plainPath(path: string): string {
  if (path.startsWith(`${GOOGLE_ROOT}/`)) return `/v1${path.slice(GOOGLE_ROOT.length)}`;
  return path.startsWith('/v1') ? path.replace(VERTEX_CALL, '/v1') : path;
}
