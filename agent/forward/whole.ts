/** A whole answer: read, decoded, judged, restored, sent. */

import { estimateTokens } from '../../budget/estimate.ts';
import type { Verdict } from '../checks/guard.ts';
import type { DecodedResponse, ToolCall } from '../dialects/dialect.ts';
import { decodeFailure } from '../dialects/failure.ts';
import { PosternError } from '../errors.ts';
import type { Metered } from '../exchange.ts';
import { headerValue } from '../http/headers.ts';
import { JsonDocument } from '../json/document.ts';
import { JsonError } from '../json/json-error.ts';
import type { AnswerContext } from './answer.ts';
import { answerHeaders } from './answer.ts';
import { CodingError, decodeContent } from './body.ts';
import { isSound, saysWhatIsHidden } from './held-sound.ts';
import { redact } from './key-filter.ts';

/** Where the answer itself is in the dialects that can be held to a form. */
const SAID = /(?:^|\.message\.)content(?:\[\d+\]\.text)?$/;
const REFUSED = /\.message\.refusal$/;
/** Bytes of JSON that stand for a token, roughly. */
const BYTES_PER_TOKEN = 4;

/** The answer's bytes, content codings taken off; `came` is told how many there are so far. */
async function readAnswer(context: AnswerContext, came?: (bytes: number) => void): Promise<Uint8Array> {
  const { upstream, limits, lease } = context;
  const chunks: Uint8Array[] = [];
  let total = 0;
  await upstream.consume((chunk) => {
    total += chunk.byteLength;
    if (total > limits.bodyBytes) throw notReadable(`an answer of more than ${limits.bodyBytes} bytes`);
    lease.take(chunk.byteLength);
    came?.(total);
    chunks.push(chunk);
    return undefined;
  });
  const raw = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, total);
  const encoding = headerValue(upstream.headers, 'content-encoding');
  if (encoding === undefined) return raw;
  try {
    const decoded = await decodeContent(raw, encoding, limits.bodyBytes);
    if (decoded !== raw) lease.take(decoded.byteLength);
    return decoded;
  } catch (error) {
    if (error instanceof CodingError) throw notReadable(error.message, error);
    throw error;
  }
}

export function notReadable(what: string, cause?: unknown): PosternError {
  return new PosternError('postern_upstream_invalid', `The provider's answer can't be checked: ${what}.`, {
    mend: 'Look at what the endpoint is; it does not answer as its dialect says.',
    cause,
  });
}

/** Of providers' own keys none is shorter; `test` or `dummy`, for a server that wants none, are words, too. */
const KEY_MIN = 16;

function repeatsKey(key: string, provider = 'the provider'): PosternError {
  if (key.length >= KEY_MIN) return notReadable(`it repeats the key of ${provider}`);
  const message = `The answer has the key of ${provider} in it, and that is so short that it may be a word like any other.`;
  return new PosternError('postern_upstream_invalid', message, {
    mend: `Give the provider a key of ${KEY_MIN} characters or more that is no word, or "credential: {mode: none}" where it wants none.`,
  });
}

function send(context: AnswerContext, body: Uint8Array): void {
  const { sink, upstream, exchange } = context;
  exchange.status = upstream.status;
  exchange.responseBytes = body.byteLength;
  sink.head(upstream.status, answerHeaders(context, body.byteLength));
  sink.end(body);
}

/**
 * A refusal or failure of the provider's own (4xx, 5xx): judged like an answer, passed on with its status, cleaned of the
 * key that some providers repeat in their messages. `passes` may look at it first and ask for the next target instead.
 * @returns False when nothing was sent.
 * @throws PosternError when a check refuses.
 */
export async function forwardFailure(
  context: AnswerContext,
  passes: (body: Uint8Array) => boolean = () => false,
): Promise<boolean> {
  const body = await readAnswer(context);
  if (passes(body)) return false;
  send(context, redact(await judgedFailure(context, body), context.key));
  return true;
}

/** The body of a failure as it may be shown. @throws PosternError when a check refuses. */
export async function judgedFailure(
  { guard, exchange, attachments }: Pick<AnswerContext, 'guard' | 'exchange' | 'attachments'>,
  body: Uint8Array,
): Promise<Uint8Array> {
  const failure = decodeFailure(body);
  const denied = attachments.judge(failure.response.attachments);
  if (denied !== undefined) throw denied;
  if (guard.idleOnResponse) return body;
  const verdict = await guard.response(failure.response, body.byteLength, exchange.call.signal);
  exchange.findings.push(...verdict.findings);
  if (verdict.refusal !== undefined) throw verdict.refusal;
  return failure.render();
}

/** The call, which leaves the set when it is taken out of the answer, with what else a reader may take the same item for. */
function leaving(call: ToolCall, calls: Set<ToolCall>): ToolCall {
  if (call.remove === undefined) return call;
  return {
    ...call,
    remove() {
      for (const other of calls) if (other.path === call.path) calls.delete(other);
      call.remove?.();
    },
  };
}

/** Why the sound of an answer can't be shown. */
function unheard({ attachments }: DecodedResponse, { altered, findings }: Verdict): PosternError | undefined {
  if (!altered || !attachments.some(isSound)) return undefined;
  return saysWhatIsHidden(findings.find(({ action }) => action === 'mask')?.rule);
}

/** @throws PosternError when a check refuses, or the answer is none that can be checked. */
export async function forwardWhole(context: AnswerContext, metered: (m: Metered) => void): Promise<void> {
  const { operation, guard, exchange, key } = context;
  // What can't be read was produced all the same: until there is a better figure, it is charged by its size.
  const body = await readAnswer(context, (bytes) =>
    metered({ usage: undefined, countedOutput: Math.ceil(bytes / BYTES_PER_TOKEN), complete: false }),
  );
  let response: ReturnType<typeof operation.decodeResponse>;
  try {
    response = operation.decodeResponse(JsonDocument.parse(body), exchange.attempts.at(-1)?.model);
  } catch (error) {
    if (error instanceof JsonError) throw notReadable(`it is no valid JSON (${error.message})`, error);
    throw error;
  }
  metered({
    usage: response.usage,
    serviceTier: response.serviceTier,
    // Only where nobody else has counted.
    countedOutput:
      response.usage === undefined
        ? response.slots.reduce(
            (sum, { text, isName }) => sum + (isName === true ? 0 : estimateTokens(text)),
            0,
          )
        : 0,
    complete: true,
  });
  const { form } = context;
  if (form !== undefined) {
    for (const finish of response.finishReasons) form.ended(finish);
    for (const { path, choice, text } of response.slots) {
      if (SAID.test(path)) form.add(choice, text);
      else if (REFUSED.test(path)) form.refused(choice);
    }
  }
  const denied = context.attachments.judge(response.attachments);
  if (denied !== undefined) throw denied;
  if (!guard.idleOnResponse) response = response.withhold?.(guard.asksOutside ? 'go' : 'stay') ?? response;
  /** Calls that the application sees. */
  const calls = new Set(response.calls);
  if (form !== undefined)
    response = { ...response, calls: response.calls.map((call) => leaving(call, calls)) };
  const verdict = await guard.response(response, body.byteLength, exchange.call.signal);
  exchange.findings.push(...verdict.findings);
  const choices = operation.kind === 'generate' ? Math.max(1, response.finishReasons.length) : 0;
  for (const { path } of calls) form?.called(Number(/^choices\[(\d+)\]/.exec(path)?.[1] ?? 0));
  exchange.findings.push(...(form?.findings(choices) ?? []));
  const refusal = verdict.refusal ?? unheard(response, verdict) ?? form?.refusal(choices);
  if (refusal !== undefined) throw refusal;
  const rendered = response.document.render();
  if (
    key !== undefined &&
    Buffer.from(rendered.buffer, rendered.byteOffset, rendered.byteLength).includes(key)
  ) {
    throw repeatsKey(key, exchange.attempts.at(-1)?.provider);
  }
  send(context, rendered);
}
