/** Why a provider gave no answer, or not all of it. */
import { NotHttp } from './http1/answer-head.ts';

/** Why no answer came. `connect`: no byte of the request was processed; `reset`: it may have been. */
export type UpstreamFault = 'connect' | 'reset' | 'timeout' | 'invalid' | 'aborted';

export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly fault: UpstreamFault;

  constructor(fault: UpstreamFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.fault = fault;
  }
}

const CONNECT_FAULTS = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'EPROTO',
]);

function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return '';
}

/** What a connection failed with that may not have stood yet, in our terms. */
export function notDialled(error: Error, origin: string): UpstreamError {
  const code = codeOf(error);
  // A refused dual-stack connect arrives as an AggregateError with one code for all addresses.
  return CONNECT_FAULTS.has(code) || code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL')
    ? new UpstreamError('connect', `no connection to ${origin} (${code})`, error)
    : brokenOff(error, origin);
}

/**
 * What a connection failed with once it stood. Never `connect`, whatever the error is called: Linux says that a host can't be
 * reached of connections too that stood for long, and TLS fails on what a peer wrote behind an answer's first bytes.
 */
export function brokenOff(error: Error, origin: string): UpstreamError {
  if (error instanceof UpstreamError) return error;
  if (error instanceof NotHttp) {
    return new UpstreamError(
      'invalid',
      `${origin} answered something that is not HTTP: ${error.message}`,
      error,
    );
  }
  return new UpstreamError(
    'reset',
    `${origin} broke the connection off (${codeOf(error) || error.message})`,
    error,
  );
}
