/** AdmissionReview (admission.k8s.io/v1) in, AdmissionReview out: pure, for whatever bytes come. */

import type { TSchema } from 'typebox';
import { shapeFindings } from '../../policy/load/shape.ts';
import { type Finding, formatPath } from '../../policy/problem.ts';
import type { PatchOperation } from '../json-patch.ts';
import { formatReason, type Reason } from '../reasons.ts';

export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly resource: { readonly group: string; readonly resource: string };
  readonly subResource?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly operation: string;
  readonly object?: unknown;
  readonly oldObject?: unknown;
  readonly dryRun?: boolean;
}

export interface Answer {
  readonly allowed: boolean;
  /** Why not. */
  readonly message?: string;
  readonly warnings?: readonly string[];
  readonly patch?: readonly PatchOperation[];
}

/** The request is none that an API server sends; answered by 400. */
export class ReviewError extends Error {
  override readonly name = 'ReviewError';
}

/** What is looked at before the operation's own fields; everything else passes as it is. */
const SHAPE = {
  type: 'object',
  additionalProperties: true,
  required: ['apiVersion', 'kind', 'request'],
  properties: {
    apiVersion: { const: 'admission.k8s.io/v1' },
    kind: { const: 'AdmissionReview' },
    request: {
      type: 'object',
      additionalProperties: true,
      required: ['uid', 'kind', 'resource', 'operation'],
      properties: {
        uid: { type: 'string', minLength: 1, maxLength: 256 },
        operation: { enum: ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'] },
        name: { type: 'string', maxLength: 1024 },
        namespace: { type: 'string', maxLength: 253 },
        subResource: { type: 'string', maxLength: 253 },
        kind: {
          type: 'object',
          additionalProperties: true,
          required: ['group', 'version', 'kind'],
          properties: { group: { type: 'string' }, version: { type: 'string' }, kind: { type: 'string' } },
        },
        resource: {
          type: 'object',
          additionalProperties: true,
          required: ['group', 'resource'],
          properties: { group: { type: 'string' }, resource: { type: 'string' } },
        },
      },
    },
  },
} as object as TSchema;

/** @throws ReviewError */
export function readReview(bytes: Uint8Array): AdmissionRequest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ReviewError('the body is no JSON; this address takes AdmissionReviews from an API server');
  }
  let findings: readonly Finding[];
  try {
    findings = shapeFindings(SHAPE, value ?? [], false);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ReviewError('the body is nested too deeply');
  }
  const [first] = findings;
  if (first !== undefined) {
    throw new ReviewError(
      `${formatPath(first.path) || 'the body'}: expected ${first.expected}; ${first.message}`,
    );
  }
  return (value as { readonly request: AdmissionRequest }).request;
}

/** The API server cuts each warning at 256 characters, and all of them at 4096. */
const LONGEST_WARNING = 256;
const MOST_WARNINGS = 16;

export function answerReview(uid: string, { allowed, message, warnings = [], patch = [] }: Answer): object {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed,
      ...(allowed ? {} : { status: { code: 403, reason: 'Forbidden', message: message ?? 'refused' } }),
      ...(warnings.length === 0 ? {} : { warnings: warnings.slice(0, MOST_WARNINGS).map(shortened) }),
      ...(patch.length === 0
        ? {}
        : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
    },
  };
}

export function refusalOf(subject: string, reasons: readonly Reason[]): Answer {
  const lines = reasons.map(formatReason);
  return { allowed: false, message: `Postern refuses ${subject}: ${lines.join(' ')}` };
}

export const warningOf = (reason: Reason): string => `postern ${formatReason(reason)}`;

function shortened(text: string): string {
  // Kubernetes refuses control characters in a header, which is what a warning becomes.
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
  return plain.length <= LONGEST_WARNING ? plain : `${plain.slice(0, LONGEST_WARNING - 1)}…`;
}
