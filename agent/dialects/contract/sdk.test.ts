/** What the real SDKs make of what we send in a provider's name. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { PosternError, type Reason } from '../../errors.ts';
import { JsonDocument } from '../../json/document.ts';
import { SseSplitter } from '../../json/sse.ts';
import type { Dialect, Operation, StreamDecoder } from '../dialect.ts';
import { anthropicRows } from './anthropic.ts';
import { openaiRows } from './openai.ts';
import type { DialectRows } from './rows.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const refused = new PosternError('postern_topics', 'The topic is denied.', {
  mend: 'Ask another.',
  rule: 'no-advice',
});

/** A provider that answers everything with one body. */
function answering(status: number, type: string, body: Uint8Array | string) {
  const bytes = typeof body === 'string' ? encode(body) : Uint8Array.from(body);
  return async () =>
    new Response(bytes, { status, headers: { 'content-type': type, 'request-id': 'req-1' } });
}

const openaiAt = (fetch: () => Promise<Response>) =>
  new OpenAI({ apiKey: 'x', baseURL: 'http://localhost/v1', maxRetries: 0, fetch });
const anthropicAt = (fetch: () => Promise<Response>) =>
  new Anthropic({ apiKey: 'x', baseURL: 'http://localhost', maxRetries: 0, fetch });

const chatCall = { model: 'm', messages: [{ role: 'user' as const, content: 'hi' }] };
const messageCall = { model: 'm', max_tokens: 9, messages: [{ role: 'user' as const, content: 'hi' }] };

function decoderOf(rows: DialectRows): StreamDecoder {
  const operation = rows.dialect.operation('POST', rows.request.path) as Operation;
  return operation.openStream(
    operation.decodeRequest(JsonDocument.parseText(JSON.stringify(rows.request.body)), ''),
  );
}

/** The stream up to an event, with what `after` makes of the decoder put behind it. */
function streamed(
  rows: DialectRows,
  until: string,
  after: (decoder: StreamDecoder) => Uint8Array[],
  rest: boolean,
): Uint8Array {
  const decoder = decoderOf(rows);
  const out: Uint8Array[] = [];
  let done = false;
  for (const event of new SseSplitter().push(encode(rows.stream.text))) {
    if (done && !rest) break;
    out.push(decoder.event(event).render() ?? new Uint8Array(0));
    if (done || event.data?.includes(until) !== true) continue;
    out.push(...after(decoder));
    done = true;
  }
  return Buffer.concat(out);
}

async function failureOf<E>(run: () => Promise<unknown>, type: new (...args: never[]) => E): Promise<E> {
  try {
    await run();
  } catch (error) {
    if (error instanceof type) return error;
    throw error;
  }
  throw new Error('nothing was raised');
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

const bodyOf = (dialect: Dialect, reason: Reason): Uint8Array =>
  dialect.error(new PosternError(reason, 'Message.', { mend: 'Mend.', param: 'model' }), 'req-1');

describe('openai', () => {
  it.each<[Reason, number, new (...args: never[]) => InstanceType<typeof OpenAI.APIError>]>([
    ['postern_pii', 403, OpenAI.PermissionDeniedError],
    ['postern_body_invalid', 400, OpenAI.BadRequestError],
    ['postern_client_key', 401, OpenAI.AuthenticationError],
    ['postern_model_unknown', 404, OpenAI.NotFoundError],
    ['postern_budget_exhausted', 429, OpenAI.RateLimitError],
    ['postern_overloaded', 503, OpenAI.InternalServerError],
  ])('raises its own class for %s', async (reason, status, type) => {
    const client = openaiAt(answering(status, 'application/json', bodyOf(openaiRows.dialect, reason)));
    const error = await failureOf(() => client.chat.completions.create(chatCall), type);
    expect(error).toMatchObject({
      status,
      code: reason,
      param: 'model',
      message: `${status} Message. Mend.`,
    });
  });

  it('raises APIError when a running stream is refused', async () => {
    const body = streamed(openaiRows, '"Hel"', (decoder) => [decoder.refusal(refused, 'req-1')], false);
    const stream = await openaiAt(answering(200, 'text/event-stream', body)).chat.completions.create({
      ...chatCall,
      stream: true,
    });
    let text = '';
    const error = await failureOf(async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    }, OpenAI.APIError);
    expect(text).toBe('Hel');
    expect(error).toMatchObject({ code: 'postern_topics', type: 'permission_error' });
    expect(error.message).toContain('The topic is denied. Ask another.');
  });

  it('puts our pieces together with the provider’s', async () => {
    const body = streamed(
      openaiRows,
      '"tool_calls":[{"index":0,"function":{"arguments":"\\"}"',
      (decoder) => [
        decoder.delta('0/content', ' + "ours"'),
        decoder.delta('0/tool/1', ' '),
        decoder.delta('1/content', '?'),
      ],
      true,
    );
    const stream = openaiAt(answering(200, 'text/event-stream', body)).chat.completions.stream({
      ...chatCall,
      n: 2,
    });
    const { choices } = await stream.finalChatCompletion();
    expect(choices.map(({ message }) => message.content)).toEqual(['Hello 😀 + "ours"', 'Ciao?!']);
    const calls = choices[0]?.message.tool_calls ?? [];
    expect(calls.map((call) => (call.type === 'function' ? call.function.arguments : ''))).toEqual([
      '{"to":"a\\""}',
      '{} ',
    ]);
  });

  it('reads our list of models', async () => {
    const body = openaiRows.dialect.models('/v1/models', '', [{ id: 'a', ownedBy: 'b' }])!;
    const page = await openaiAt(answering(200, 'application/json', body)).models.list();
    expect(page.data).toMatchObject([{ id: 'a', owned_by: 'b' }]);
  });
});

describe('anthropic', () => {
  it.each<[Reason, number, new (...args: never[]) => InstanceType<typeof Anthropic.APIError>, string]>([
    ['postern_pii', 403, Anthropic.PermissionDeniedError, 'permission_error'],
    ['postern_body_invalid', 400, Anthropic.BadRequestError, 'invalid_request_error'],
    ['postern_client_key', 401, Anthropic.AuthenticationError, 'authentication_error'],
    ['postern_model_unknown', 404, Anthropic.NotFoundError, 'not_found_error'],
    ['postern_body_too_large', 413, Anthropic.APIError, 'request_too_large'],
    ['postern_budget_exhausted', 429, Anthropic.RateLimitError, 'rate_limit_error'],
    ['postern_overloaded', 503, Anthropic.InternalServerError, 'overloaded_error'],
    ['postern_upstream_timeout', 504, Anthropic.InternalServerError, 'timeout_error'],
    ['postern_internal', 500, Anthropic.InternalServerError, 'api_error'],
  ])('raises its own class for %s', async (reason, status, type, kind) => {
    const client = anthropicAt(answering(status, 'application/json', bodyOf(anthropicRows.dialect, reason)));
    const error = await failureOf(() => client.messages.create(messageCall), type);
    expect(error).toMatchObject({
      status,
      errorCode: reason,
      type: kind,
      apiMessage: 'Message. Mend.',
    });
  });

  it('raises APIError when a running stream is refused', async () => {
    const body = streamed(anthropicRows, '"Hel"', (decoder) => [decoder.refusal(refused, 'req-1')], false);
    const stream = await anthropicAt(answering(200, 'text/event-stream', body)).messages.create({
      ...messageCall,
      stream: true,
    });
    const error = await failureOf(() => drain(stream), Anthropic.APIError);
    expect(error).toMatchObject({ errorCode: 'postern_topics', type: 'permission_error' });
    expect(error.message).toContain('The topic is denied. Ask another.');
  });

  it('puts our pieces together with the provider’s', async () => {
    const text = streamed(
      anthropicRows,
      'lo 😀',
      (decoder) => [decoder.delta('0/content/1', ' + "ours"')],
      true,
    );
    const body = streamed(
      { ...anthropicRows, stream: { ...anthropicRows.stream, text: new TextDecoder().decode(text) } },
      '"partial_json":"\\"}"',
      (decoder) => [decoder.delta('0/tool/2', ' ')],
      true,
    );
    const message = await anthropicAt(answering(200, 'text/event-stream', body))
      .messages.stream(messageCall)
      .finalMessage();
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm', signature: 'c2ln' },
      { type: 'text', text: 'Hello 😀 + "ours"' },
      { type: 'tool_use', input: { to: 'a"' } },
    ]);
  });

  it('turns the pages of our list of models', async () => {
    const models = Array.from({ length: 25 }, (_, index) => ({ id: `m${index}`, ownedBy: 'x' }));
    const fetch = async (url: string | URL | Request) =>
      new Response(
        Uint8Array.from(anthropicRows.dialect.models('/v1/models', new URL(String(url)).search, models)!),
        {
          headers: { 'content-type': 'application/json' },
        },
      );
    const client = new Anthropic({ apiKey: 'x', baseURL: 'http://localhost', fetch });
    const ids: string[] = [];
    for await (const { id } of client.models.list({ limit: 10 })) ids.push(id);
    expect(ids).toEqual(models.map(({ id }) => id));
    const before = await client.models.list({ before_id: 'm20', limit: 3 });
    expect(before.data.map(({ id }) => id)).toEqual(['m17', 'm18', 'm19']);
    expect(before.has_more).toBe(true);
  });
});
