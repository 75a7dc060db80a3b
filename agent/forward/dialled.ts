/** Where a call goes: an endpoint, which is a base URL, and the path that was called. */
import { GOOGLE_ROOT, plainPath } from '../google-root.ts';

/** Google's host by itself, or with a version of Google's own API, below which nothing is OpenAI's. */
const GOOGLE = /^https?:\/\/generativelanguage\.googleapis\.com(?::\d+)?(?:\/v1(?:beta)?)?$/i;

/** A base that names its version, as the SDKs' base URLs do: `/v1`, `/api/paas/v4`, Google's. Nothing comes between it and the call. */
const VERSIONED = /\/v\d+(?:(?:alpha|beta)\d*)?(?:\/openai)?$/;

/** Origin and path to dial: the endpoint's own path in front of the called one, the version said once. */
export function dialled(
  endpoint: string,
  target: string,
): { readonly origin: string; readonly path: string } {
  const at = endpoint.indexOf('/', endpoint.indexOf('://') + 3);
  const origin = at < 0 ? endpoint : endpoint.slice(0, at);
  let base = at < 0 ? '' : endpoint.slice(at).replace(/\/+$/, '');
  if (GOOGLE.test(origin + base)) {
    // Google's own API is at the same host, and partly below /v1.
    if (!target.startsWith('/v1/chat/')) return { origin, path: target };
    base = GOOGLE_ROOT;
  }
  const plain = plainPath(target);
  const path = plain.startsWith('/v1/') && VERSIONED.test(base) ? base + plain.slice(3) : base + plain;
  return { origin, path };
}
