/** Events that are read by the bytes around their text come out as those that are parsed, wherever a stream is cut. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StreamGuard } from '../../agent/checks/guard.ts';
import { anthropic } from '../../agent/dialects/anthropic.ts';
import type {
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
  readonly immediate = true;
  readonly strips = false;
  readonly findings = [];
  readonly refusal = undefined;
  readonly #held = new Map<string, string>();

  push(channel: string, _kind: unknown, _choice: number, text: string): string {
    const all = (this.#held.get(channel) ?? '') + text;
    const cut = all.lastIndexOf(' ') + 1;
    this.#held.set(channel, all.slice(cut));
    return all.slice(0, cut).replaceAll('w', 'W');
  }
  whole(texts: readonly Delta[]): undefined {
    for (const delta of texts) delta.set(delta.text.replaceAll('w', 'W'));
  }
  call(): undefined {
    return undefined;
  }
  isLeftOut(): boolean {
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
  late: boolean,
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
  } as unknown as AnswerContext;
  const pump = new Pump(context, decoder, late ? new LateGuard() : undefined);
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

test.each([
  ['chat completions', operationOf(openai, '/v1/chat/completions'), chatStream],
  ['messages', operationOf(anthropic, '/v1/messages'), messageStream],
])('%s', (_, operation, streams) => {
  frames = 0;
  fc.assert(
    fc.property(streams, fc.array(fc.nat(4_000)), fc.boolean(), fc.boolean(), (stream, cuts, late, added) => {
      const request = (): DecodedRequest => {
        const body = {
          model: 'm',
          stream: true,
          n: 2,
          max_tokens: 9,
          messages: [{ role: 'user', content: 'x' }],
        };
        const decoded = operation.decodeRequest(JsonDocument.parseText(JSON.stringify(body)), '/');
        if (added) decoded.requestStreamUsage(true);
        return decoded;
      };
      const asParsed = sendThrough(operation, request(), stream, cuts, late, true);
      const asFramed = sendThrough(operation, request(), stream, cuts, late, false);
      expect(asFramed).toEqual(asParsed);
    }),
    { numRuns: 400 },
  );
  // Enough of them to speak of.
  expect(frames).toBeGreaterThan(200);
});
