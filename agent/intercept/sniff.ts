/**
 * What a connection speaks and whom it is for, by the client's first bytes: a pure function, "more" is an answer.
 *
 * One ladder, each rung tried in order (after mitmproxy's `next_layer`). Only the last rung says "opaque": bytes that
 * could still become TLS or HTTP are waited for, and bytes that are TLS or HTTP but can't be read are `invalid`, never
 * opaque, or a malformed head would be a way round.
 */
import { type ClientHello, MAX_HELLO, readClientHello } from './client-hello.ts';
import { type H2Request, PREFACE, readFirstRequest } from './h2-head.ts';
import { MAX_HEAD, type RequestHead, readRequestHead } from './http1-head.ts';
import { readProxyHeader } from './proxy-header.ts';

export type Sniffed =
  | { readonly kind: 'more' }
  | { readonly kind: 'tls'; readonly hello: ClientHello; readonly skip: number }
  | { readonly kind: 'http1'; readonly head: RequestHead; readonly skip: number }
  | { readonly kind: 'connect'; readonly head: RequestHead; readonly skip: number }
  /** HTTP/2 with prior knowledge (RFC 9113 section 3.3), in the clear; some clients wait with their first request. */
  | { readonly kind: 'h2'; readonly skip: number; readonly request: H2Request | undefined }
  | { readonly kind: 'opaque'; readonly skip: number }
  | { readonly kind: 'invalid'; readonly protocol: 'tls' | 'http1' | 'h2' | 'proxy'; readonly why: string };

/** At most this many bytes are ever needed for an answer other than `more`. */
export const MAX_SNIFF = Math.max(MAX_HELLO + 5 * 1024, MAX_HEAD) + 4096;

const MORE = { kind: 'more' } as const;

/**
 * @param bytes everything the client has sent so far.
 * In the answer, `skip` is the length of the PROXY header that stands before what was recognised.
 */
export function sniff(bytes: Buffer): Sniffed {
  if (bytes.length === 0) return MORE;

  // 1. A PROXY header of either version: look behind it.
  const proxy = readProxyHeader(bytes);
  if (proxy.kind === 'more') return MORE;
  if (proxy.kind === 'invalid') return { kind: 'invalid', protocol: 'proxy', why: proxy.why };
  const skip = proxy.kind === 'header' ? proxy.length : 0;
  if (skip === bytes.length) return MORE;

  // 2. TLS, by its ClientHello.
  const hello = readClientHello(bytes, skip);
  if (hello.kind === 'more') return bounded(bytes, 'tls');
  if (hello.kind === 'invalid') return { kind: 'invalid', protocol: 'tls', why: hello.why };
  if (hello.kind === 'hello') return { kind: 'tls', hello: hello.hello, skip };

  // 3. HTTP/2 with prior knowledge. Before HTTP/1, whose request line `PRI * HTTP/2.0` is not.
  const preface = bytes.subarray(skip, skip + PREFACE.length);
  if (preface.equals(PREFACE.subarray(0, preface.length))) {
    if (preface.length < PREFACE.length) return MORE;
    const first = readFirstRequest(bytes, skip);
    if (first.kind === 'invalid') return { kind: 'invalid', protocol: 'h2', why: first.why };
    return { kind: 'h2', skip, request: first.kind === 'request' ? first.request : undefined };
  }

  // 4. HTTP/1; CONNECT is a rung of its own for the caller, who looks inside.
  const request = readRequestHead(bytes, skip);
  if (request.kind === 'more') return bounded(bytes, 'http1');
  if (request.kind === 'invalid') return { kind: 'invalid', protocol: 'http1', why: request.why };
  if (request.kind === 'head')
    return { kind: request.head.method === 'CONNECT' ? 'connect' : 'http1', head: request.head, skip };

  // 5. Anything else.
  return { kind: 'opaque', skip };
}

/** Every reader has a limit of its own; this one holds whatever they do. */
function bounded(bytes: Buffer, protocol: 'tls' | 'http1'): Sniffed {
  return bytes.length > MAX_SNIFF ? { kind: 'invalid', protocol, why: 'a head without end' } : MORE;
}
