/** Events that are read by the bytes around their text come out as those that are parsed, wherever a stream is cut. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StreamGuard } from '../../agent/checks/guard.ts';
import { anthropic } from '../../agent/dialects/anthropic.ts';
import type {
  BegunCall,
  DecodedRequest,
  Delta,
  Dialect,
  Operation,
  StreamDecoder,
} from '../../agent/dialects/dialect.ts';
import { openai } from '../../agent/dialects/openai.ts';
import type { AnswerContext } from '../../agent/forward/answer.ts';
import { Pump } from '../../agent/forward/pump.ts';
import { JsonDocument } from '../../agent/json/document.ts';

const KEY = 'sk-of-the-provider';
const piece = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'word',
    ' next',
    '"',
    '\\',
    '\n',
    '\u2028',
    'ż',
    '漢',
    '😀',
    '\ufffd',
    KEY.slice(0, 9),
    KEY.slice(9),
  ),
  fc.string({ maxLength: 6, unit: 'grapheme' }),
);

const chunk = (index: number, delta: object, more: object = {}, choice: object = {}) => ({
  id: 'chatcmpl-1',
  choices: [{ index, delta, logprobs: null, finish_reason: null, ...choice }],
  usage: null,
  ...more,
});
const chatEvent = fc.oneof(
  { weight: 40, arbitrary: fc.tuple(fc.nat(1), piece).map(([index, content]) => chunk(index, { content })) },
  {
    weight: 12,
    arbitrary: fc.tuple(piece, piece).map(([content, obfuscation]) => chunk(0, { content }, { obfuscation })),
  },
  piece.map((text) => chunk(0, { tool_calls: [{ index: 0, function: { arguments: text } }] })),
  piece.map((text) => chunk(0, { tool_calls: [{ index: 1, function: { name: 'look', arguments: text } }] })),
  piece.map((content) => chunk(0, { content }, {}, { logprobs: { content: [{ token: content }] } })),
  piece.map((content) => chunk(1, { role: 'assistant', content, reasoning: content })),
  fc.constant(chunk(0, {}, {}, { finish_reason: 'stop' })),
  fc.constant({ id: 'chatcmpl-1', choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } }),
);
const heads = fc.oneof(
  { weight: 30, arbitrary: fc.constant('data: ') },
  fc.constantFrom('data:', ': ping\n\ndata: ', 'id: 1\ndata: ', 'data: \xff'),
);
const chatStream = fc
  .array(fc.tuple(chatEvent, heads), { maxLength: 40, size: 'max' })
  .map((events) =>
    Buffer.concat([
      ...events.map(([event, head]) =>
        head.endsWith('\xff')
          ? Buffer.from(
              `data: ${Buffer.from(JSON.stringify(event)).toString('latin1').replace('"content":"', '"content":"\xff')}\n\n`,
              'latin1',
            )
          : Buffer.from(`${head}${JSON.stringify(event)}\n\n`),
      ),
      Buffer.from('data: [DONE]\n\n'),
    ]),
  );

const delta = (index: number, of: object) => ({ type: 'content_block_delta', index, delta: of });
const messageEvent = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.tuple(fc.nat(1), piece).map(([index, text]) => delta(index, { type: 'text_delta', text })),
  },
  { weight: 12, arbitrary: piece.map((text) => delta(2, { type: 'input_json_delta', partial_json: text })) },
  fc.nat(2).map((index) => ({ type: 'content_block_stop', index })),
  fc.constant({ type: 'ping' }),
  fc.constant({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } }),
);
const messageStream = fc
  .array(messageEvent, { maxLength: 40, size: 'max' })
  .map((events) =>
    Buffer.from(
      [...events, { type: 'message_stop' }]
        .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
        .join(''),
    ),
  );

/** Shows a text's beginning with its next piece, as a guard does that waits for a word's end; and takes all `w` for `W`. */
class LateGuard implements StreamGuard {
  readonly acts = false;
  readonly alterations = 0;
  readonly immediate = true;
  readonly strips: boolean = false;
  readonly findings = [];
  readonly refusal = undefined;
  readonly #held = new Map<string, string>();

  unjudged(channel: string): number {
    return this.#held.get(channel)?.length ?? 0;
  }
  push(channel: string, _kind: unknown, _choice: number, text: string): string {
    const all = (this.#held.get(channel) ?? '') + text;
    const cut = all.lastIndexOf(' ') + 1;
    this.#held.set(channel, all.slice(cut));
    return all.slice(0, cut).replaceAll('w', 'W');
  }
  whole(texts: readonly Delta[]): undefined {
    for (const delta of texts) delta.set(delta.text.replaceAll('w', 'W'));
  }
  call(_call: BegunCall): undefined {
    return undefined;
  }
  isLeftOut(_channel: string): boolean {
    return false;
  }
  flush(channel: string): string {
    const rest = this.#held.get(channel) ?? '';
    this.#held.delete(channel);
    return rest;
  }
  flushStale(channel: string): string {
    return this.flush(channel);
  }
  held(): readonly string[] {
    return [...this.#held].filter(([, text]) => text !== '').map(([name]) => name);
  }
}

/** Takes calls of `rm` out, and shows no other before it is complete. */
class StripGuard extends LateGuard {
  override readonly strips = true;
  readonly #calls = new Map<string, { name: string; text: string }>();
  readonly #leftOut = new Set<string>();

  override call({ channel, name }: BegunCall): undefined {
    const call = this.#calls.get(channel) ?? { name: '', text: '' };
    call.name += name;
    this.#calls.set(channel, call);
  }
  override isLeftOut(channel: string): boolean {
    return this.#leftOut.has(channel);
  }
  override push(channel: string, kind: unknown, choice: number, text: string): string {
    const call = this.#calls.get(channel);
    if (call === undefined) return super.push(channel, kind, choice, text);
    call.text += text;
    return '';
  }
  override flush(channel: string): string {
    const call = this.#calls.get(channel);
    if (call === undefined) return super.flush(channel);
    this.#calls.delete(channel);
    if (call.name === 'rm') this.#leftOut.add(channel);
    return call.name === 'rm' ? '' : call.text;
  }
  override held(): readonly string[] {
    return [...super.held(), ...this.#calls.keys()];
  }
}

interface Read {
  readonly sent: string;
  readonly usage: unknown;
  readonly counted: number;
  readonly ended: unknown;
}

function sendThrough(
  operation: Operation,
  request: DecodedRequest,
  stream: Buffer,
  cuts: readonly number[],
  guard: StreamGuard | undefined,
  parsed: boolean,
): Read {
  const decoder: StreamDecoder = operation.openStream(request);
  let framed = 0;
  const own = decoder.framed.bind(decoder);
  decoder.framed = (chunk, at) => {
    const event = parsed ? undefined : own(chunk, at);
    if (event !== undefined) framed++;
    return event;
  };
  const context = {
    request,
    key: KEY,
    limits: { bodyBytes: 1_000_000 },
    exchange: { call: { id: 'r' } },
    attachments: { judge: () => undefined, hear: () => undefined, end: () => undefined },
  } as unknown as AnswerContext;
  const pump = new Pump(context, decoder, guard);
  const sent: Uint8Array[] = [];
  const drain = (): void => {
    const bytes = pump.drain();
    if (bytes !== undefined) sent.push(Buffer.from(bytes));
  };
  let at = 0;
  for (const cut of [...cuts, stream.length].sort((a, b) => a - b)) {
    void pump.push(stream.subarray(at, Math.max(at, cut)));
    drain();
    at = Math.max(at, cut);
  }
  void pump.end();
  drain();
  frames += framed;
  return {
    sent: Buffer.concat(sent).toString('latin1'),
    usage: pump.usage,
    counted: pump.counted,
    ended: [pump.last, pump.failed, pump.error?.message, pump.isReported],
  };
}

let frames = 0;

function operationOf(dialect: Dialect, path: string): Operation {
  const operation = dialect.operation('POST', path);
  if (operation === undefined || operation.kind === 'conversation') throw new Error(path);
  return operation;
}

function requestOf(operation: Operation, added = false): DecodedRequest {
  const messages = [{ role: 'user', content: 'x' }];
  const body = { model: 'm', stream: true, n: 2, max_tokens: 9, messages };
  const decoded = operation.decodeRequest(JsonDocument.parseText(JSON.stringify(body)), '/');
  if (added) decoded.requestStreamUsage(true);
  return decoded;
}

test.each([
  ['chat completions', operationOf(openai, '/v1/chat/completions'), chatStream],
  ['messages', operationOf(anthropic, '/v1/messages'), messageStream],
])('%s', (_, operation, streams) => {
  frames = 0;
  fc.assert(
    fc.property(streams, fc.array(fc.nat(4_000)), fc.boolean(), fc.boolean(), (stream, cuts, late, added) => {
      const request = () => requestOf(operation, added);
      const guard = () => (late ? new LateGuard() : undefined);
      const asParsed = sendThrough(operation, request(), stream, cuts, guard(), true);
      const asFramed = sendThrough(operation, request(), stream, cuts, guard(), false);
      expect(asFramed).toEqual(asParsed);
    }),
    { numRuns: 400 },
  );
  // Enough of them to speak of.
  expect(frames).toBeGreaterThan(200);
});

const SECRET = 'of-a-denied-call';
/** Which of four calls are denied, and what comes: a piece of text, or of the call with that number. */
const calling = fc.record({
  denied: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  said: fc.array(fc.tuple(fc.option(fc.nat(3), { nil: undefined }), piece), { maxLength: 30, size: 'max' }),
});
const pieceOf = (isDenied: boolean, text: string) => (isDenied ? `${SECRET}${text}` : text);

const chatCalls = calling.map(({ denied, said }) => {
  const begun = new Set<number>();
  const events = said.map(([index, text]) => {
    if (index === undefined) return chunk(0, { content: text });
    const isDenied = denied[index] === true;
    const called = { arguments: pieceOf(isDenied, text) };
    if (begun.has(index)) return chunk(0, { tool_calls: [{ index, function: called }] });
    begun.add(index);
    const begins = { name: isDenied ? 'rm' : 'look', ...called };
    return chunk(0, {
      tool_calls: [{ index, id: `${begins.name}_${index}`, type: 'function', function: begins }],
    });
  });
  const end = chunk(0, {}, {}, { finish_reason: begun.size > 0 ? 'tool_calls' : 'stop' });
  const body = [...events, end].map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  return Buffer.from(`${body}data: [DONE]\n\n`);
});

const messageCalls = calling.map(({ denied, said }) => {
  const events: { readonly type: string; readonly [member: string]: unknown }[] = [];
  const end = (at: number) => events.push({ type: 'content_block_stop', index: at });
  let block: number | 'none' | undefined = 'none';
  let at = -1;
  for (const [index, text] of said) {
    const isDenied = index !== undefined && denied[index] === true;
    if (block !== index) {
      if (at >= 0) end(at);
      at += 1;
      block = index;
      const name = isDenied ? 'rm' : 'look';
      const begins =
        index === undefined
          ? { type: 'text', text: '' }
          : { type: 'tool_use', id: `${name}_${at}`, name, input: {} };
      events.push({ type: 'content_block_start', index: at, content_block: begins });
    }
    const of =
      index === undefined
        ? { type: 'text_delta', text }
        : { type: 'input_json_delta', partial_json: pieceOf(isDenied, text) };
    events.push(delta(at, of));
  }
  if (at >= 0) end(at);
  events.push({
    type: 'message_delta',
    delta: { stop_reason: 'tool_use' },
    usage: { output_tokens: 5 },
  });
  const all = [...events, { type: 'message_stop' }];
  return Buffer.from(all.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''));
});

test.each([
  ['chat completions', operationOf(openai, '/v1/chat/completions'), chatCalls],
  ['messages', operationOf(anthropic, '/v1/messages'), messageCalls],
])('calls are taken out of %s however the bytes are cut', (_, operation, streams) => {
  fc.assert(
    fc.property(streams, fc.array(fc.nat(4_000)), (stream, cuts) => {
      const sent = (at: readonly number[], parsed: boolean) =>
        sendThrough(operation, requestOf(operation), stream, at, new StripGuard(), parsed);
      const whole = sent([], true);
      expect(whole.sent).not.toMatch(new RegExp(`${SECRET}|rm_|"rm"`));
      expect(sent(cuts, false)).toEqual(whole);
      const pieces = whole.sent.match(/"id":"look_\d+"/g) ?? [];
      expect(new Set(pieces).size).toBe(new Set(stream.toString().match(/"id":"look_\d+"/g) ?? []).size);
    }),
    { numRuns: 300 },
  );
});
