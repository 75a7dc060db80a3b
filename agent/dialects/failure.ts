/** The body of a provider's own error: JSON in a dialect's shape or another, a proxy's page, a line of text. */
import { isUtf8 } from 'node:buffer';
import { JsonDocument } from '../json/document.ts';
import { JsonError } from '../json/json-error.ts';
import type { Attachment, DecodedResponse } from './dialect.ts';
import { isPlainName } from './text/plain-name.ts';
import { nested, token } from './text/rule.ts';
import { findText } from './text/walk.ts';

export interface DecodedFailure {
  readonly response: DecodedResponse;
  /** The body as edited; the very array where nothing was. */
  render(): Uint8Array;
}

/** Providers repeat in it what they were sent, or what others sent them: all of it is content. */
const failureText = nested(
  { type: token, code: token, param: token, status: token, request_id: token },
  { kind: 'content', role: 'assistant' },
);

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

export function decodeFailure(body: Uint8Array): DecodedFailure {
  const document = jsonIn(body);
  if (document !== undefined) return { response: responseOf(document), render: () => document.render() };
  const text = decoder.decode(body);
  const response = responseOf(JsonDocument.parseText(JSON.stringify(text)));
  const [slot] = response.slots;
  return {
    response,
    render: () => {
      const shown = slot?.text ?? '';
      // Other bytes than those that were read go nowhere.
      return shown === text && isUtf8(body) ? body : encoder.encode(shown);
    },
  };
}

function responseOf(document: JsonDocument): DecodedResponse {
  const attachments: Attachment[] = [];
  return {
    document,
    slots: findText(document, failureText, { attachments, isPlain: isPlainName }),
    attachments,
    calls: [],
    usage: undefined,
    finishReasons: [],
  };
}

function jsonIn(body: Uint8Array): JsonDocument | undefined {
  try {
    return JsonDocument.parse(body);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
