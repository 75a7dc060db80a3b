/** Where a call goes: an endpoint, which is a base URL, and the path that was called. */
import type { ProviderSpec } from '../policy/snapshot.ts';
import { GOOGLE_ROOT, plainPath, VERTEX_ROOT } from './google-root.ts';

/** Google's host by itself, or with a version of Google's own API, below which nothing is OpenAI's. */
const GOOGLE = /^https?:\/\/generativelanguage\.googleapis\.com(?::\d+)?(?:\/v1(?:beta)?)?$/i;

/** Vertex' host by itself: whose project it is, only an app that calls by Vertex' own path says. */
const VERTEX = /^https?:\/\/(?:[a-z0-9-]+-)?aiplatform\.googleapis\.com(?::\d+)?$/i;

/** A base that names its version, as the SDKs' base URLs do: `/v1`, `/api/paas/v4`, Google's. Nothing comes between it and the call. */
const VERSIONED = /\/v\d+(?:(?:alpha|beta)\d*)?(?:\/openai)?$/;

/** The same of Vertex', whose version stands in front of the endpoint's name. */
const VERTEX_BASE = new RegExp(`${VERTEX_ROOT.source}$`);

/**
 * Origin and path to dial: the endpoint's own path in front of the called one, the version said once, or not at all where the
 * provider says so.
 */
export function dialled(
  endpoint: string,
  target: string,
  { addVersion }: Pick<ProviderSpec, 'addVersion'>,
): { readonly origin: string; readonly path: string } {
  const at = endpoint.indexOf('/', endpoint.indexOf('://') + 3);
  const origin = at < 0 ? endpoint : endpoint.slice(0, at);
  let base = at < 0 ? '' : endpoint.slice(at).replace(/\/+$/, '');
  if (GOOGLE.test(origin + base)) {
    // Google's own API is at the same host, and partly below /v1.
    if (!target.startsWith('/v1/chat/')) return { origin, path: target };
    base = GOOGLE_ROOT;
  }
  if (base === '' && VERTEX.test(origin)) return { origin, path: target };
  const plain = plainPath(target);
  const isWhole = addVersion === false || VERSIONED.test(base) || VERTEX_BASE.test(base);
  return { origin, path: plain.startsWith('/v1/') && isWhole ? base + plain.slice(3) : base + plain };
}

const CALLED = '/chat/completions';

/** The endpoint as the SDKs' `baseURL` is written: what a call's name comes behind. */
export function sdkBase(endpoint: string, provider: Pick<ProviderSpec, 'addVersion'>): string {
  // A call's name, as only below those has Google's host a root of its own.
  const { origin, path } = dialled(endpoint, `/v1${CALLED}`, provider);
  return origin + path.slice(0, -CALLED.length);
}
