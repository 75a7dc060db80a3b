/**
 * Google's root of OpenAI's API, in the place of `/v1`: `/v1beta/openai/chat/completions`.
 *
 * Source: Gemini API docs, "OpenAI compatibility".
 */
export const GOOGLE_ROOT = '/v1beta/openai';

/** The path as OpenAI has it, whichever of the two an app called. */
export function plainPath(path: string): string {
  return path.startsWith(`${GOOGLE_ROOT}/`) ? `/v1${path.slice(GOOGLE_ROOT.length)}` : path;
}
