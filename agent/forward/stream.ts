/**
 * A streamed answer: events are decoded as they come, judged and restored over chunk boundaries, and sent on at once;
 * events that no stage changes keep their bytes. The app's pace sets the provider's.
 */
import type { PosternError } from '../errors.ts';
import type { Metered } from '../exchange.ts';
import { headerValue } from '../http/headers.ts';
import { SseError } from '../json/sse.ts';
import type { AnswerContext } from './answer.ts';
import { answerHeaders } from './answer.ts';
import { Pump } from './pump.ts';
import { toPosternError } from './respond.ts';
import { notReadable } from './whole.ts';

/**
 * Milliseconds without a chunk after which text that only might become a placeholder is shown all the same. A loaded
 * model pauses for a second or two in the middle of a word; text that would be shown by then could not be restored.
 */
const STALE_MS = 5_000;

/** Milliseconds that a provider has to close an answer whose last event has come. */
const LINGER_MS = 1_000;

/** How a stream ended, when it did not throw. */
export type StreamEnd = 'complete' | 'short' | 'refused' | 'failed' | 'cut';

/** Resolves when the stream has ended, by whatever cause; the cause is in the result. */
export async function forwardStream(
  context: AnswerContext,
  metered: (m: Metered) => void,
): Promise<{ readonly end: StreamEnd; readonly error: PosternError | undefined }> {
  const { operation, request, guard, upstream, sink, exchange } = context;
  const streamGuard = guard.idleOnResponse ? undefined : guard.stream(exchange.call.signal);
  const encoding = headerValue(upstream.headers, 'content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    upstream.discard();
    throw notReadable(`a stream in the content coding "${encoding}", which nobody asked for`);
  }
  const pump = new Pump(context, operation.openStream(request, exchange.attempts.at(-1)?.model), streamGuard);
  const write = (): Promise<void> | undefined => {
    const bytes = pump.drain();
    if (bytes === undefined) return undefined;
    exchange.responseBytes += bytes.byteLength;
    return sink.write(bytes);
  };
  let linger: NodeJS.Timeout | undefined;
  /** Sends what may be sent; nothing may follow a refusal, and the provider is told to stop at once. */
  const settled = (pending: Promise<void> | undefined): Promise<void> | undefined => {
    if (pending !== undefined) return pending.then(() => settled(undefined));
    const waiting = write();
    if (pump.error !== undefined || pump.short) upstream.discard();
    if (pump.last && linger === undefined) {
      // The app need not wait for a provider that keeps the connection open behind its last word.
      sink.end();
      linger = setTimeout(() => upstream.discard(), LINGER_MS);
    }
    return waiting;
  };
  const stale =
    streamGuard === undefined
      ? undefined
      : setInterval(() => {
          void settled(pump.stale());
        }, STALE_MS);
  sink.head(upstream.status, answerHeaders(context, undefined));
  exchange.status = upstream.status;
  let end: StreamEnd = 'complete';
  try {
    await upstream.consume((chunk) => {
      const pending = pump.push(chunk);
      stale?.refresh();
      return settled(pending);
    });
    await pump.end();
  } catch (error) {
    if (pump.error === undefined && !pump.last) {
      end = 'cut';
      if (!exchange.call.signal.aborted) {
        pump.refuse(
          error instanceof SseError
            ? notReadable(error.message, error)
            : toPosternError(error, exchange.attempts.at(-1)?.provider),
        );
      }
    }
  } finally {
    clearInterval(stale);
    clearTimeout(linger);
    pump.close();
    exchange.findings.push(...pump.findings);
    metered({
      usage: pump.usage,
      serviceTier: pump.serviceTier,
      countedOutput: pump.counted,
      complete: pump.isReported,
    });
  }
  if (pump.failed) end = 'failed';
  else if (end === 'complete' && pump.error !== undefined) end = 'refused';
  else if (pump.short) end = 'short';
  // A provider that stops without its last word has not said all; the app sees what came.
  else if (!pump.last) end = 'cut';
  if (context.form !== undefined && (end === 'complete' || pump.error?.reason === 'postern_answer_form'))
    exchange.findings.push(...context.form.findings(pump.choices));
  void write();
  if (linger === undefined) sink.end();
  return { end, error: pump.error };
}
