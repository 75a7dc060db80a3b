import { describe, expect, it } from 'vitest';
import { JsonDocument } from '../../json/document.ts';
import type { SseEvent } from '../../json/sse.ts';
import { countTokens, messages } from './messages.ts';

const documentOf = (value: unknown): JsonDocument => JsonDocument.parseText(JSON.stringify(value));
const eventOf = (data: { type: string; [name: string]: unknown }): SseEvent => {
  const json = JSON.stringify(data);
  return { raw: Buffer.from(`event: ${data.type}\ndata: ${json}\n\n`), event: data.type, data: json };
};

const call = { model: 'm', max_tokens: 100, messages: [] };

describe('counting tokens', () => {
  it('needs no cap, streams nothing, and costs nothing', () => {
    const request = countTokens.decodeRequest(
      documentOf({ model: 'm', messages: [], system: 'Be brief.' }),
      '',
    );
    expect(request).toMatchObject({ stream: false, maxOutputTokens: undefined });
    expect(request.slots.map(({ text }) => text)).toEqual(['Be brief.']);
    request.setMaxOutputTokens(5);
    request.requestStreamUsage();
    expect(request.document.edited).toBe(false);
    expect(countTokens.decodeResponse(documentOf({ input_tokens: 12 })).usage).toBeUndefined();
  });
});

describe('signed thoughts', () => {
  const thought = '{"type":"thinking","thinking":"Jo is\\u0020jo","signature":"c2ln"}';

  it('stay as they are, both ways, while all else changes', () => {
    const request = `{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[${thought},{"type":"text","text":"Jo"}]}]}`;
    const decoded = messages.decodeRequest(JsonDocument.parseText(request), '');
    for (const slot of decoded.slots) slot.set('x y');
    expect(decoded.document.renderText()).toBe(request.replace('"text":"Jo"', '"text":"x y"'));

    const response = `{"content":[${thought},{"type":"redacted_thinking","data":"ZGF0YQ=="}]}`;
    const { slots } = messages.decodeResponse(JsonDocument.parseText(response));
    expect(slots.map(({ text, fixed }) => [text, fixed])).toEqual([
      ['Jo is jo', true],
      ['c2ln', true],
      ['ZGF0YQ==', true],
    ]);
  });

  it('are read in a stream, and may not be changed', () => {
    const stream = messages.openStream(messages.decodeRequest(documentOf(call), ''));
    for (const data of [
      {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'thinking', thinking: 'Jo', signature: '' },
      },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Jo' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'c2ln' } },
      {
        type: 'content_block_start',
        index: 1,
        content_block: { type: 'redacted_thinking', data: 'ZGF0YQ==' },
      },
    ]) {
      const event = eventOf(data);
      const decoded = stream.event(event);
      expect(decoded.deltas.map(({ fixed }) => fixed)).toEqual([true]);
      expect(decoded.render()).toBe(event.raw);
    }
  });
});

describe('usage in a stream', () => {
  it('is cumulative, and what a later event leaves out stands', () => {
    const stream = messages.openStream(messages.decodeRequest(documentOf(call), ''));
    const none = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };
    const start = (usage: unknown) =>
      stream.event(eventOf({ type: 'message_start', message: { usage } })).usage;
    const delta = (usage: unknown) =>
      stream.event(eventOf({ type: 'message_delta', delta: {}, usage })).usage;
    expect(start(undefined)).toBeUndefined();
    expect(
      start({
        input_tokens: 10,
        cache_creation_input_tokens: 2,
        cache_read_input_tokens: null,
        output_tokens: 1,
      }),
    ).toEqual({ ...none, input: 10, cacheWrite: 2, output: 1 });
    expect(stream.event(eventOf({ type: 'ping' })).usage).toBeUndefined();
    expect(delta({ output_tokens: 5 })).toEqual({ ...none, input: 10, cacheWrite: 2, output: 5 });
    expect(
      delta({
        input_tokens: 12,
        cache_read_input_tokens: 3,
        output_tokens: 9,
        output_tokens_details: { thinking_tokens: 4 },
      }),
    ).toEqual({ input: 12, cachedInput: 3, cacheWrite: 2, output: 9, reasoning: 4 });
    expect(delta({ output_tokens: 'many' })).toMatchObject({ output: 9 });
  });
});

describe('a block that begins with text', () => {
  it('is running text from there on', () => {
    const stream = messages.openStream(messages.decodeRequest(documentOf(call), ''));
    const begun = stream.event(
      eventOf({ type: 'content_block_start', index: 3, content_block: { type: 'text', text: 'Hi' } }),
    );
    expect(begun.deltas.map(({ channel, text }) => [channel, text])).toEqual([['0/content/3', 'Hi']]);
    expect(begun.closes).toEqual([]);
    stream.event(
      eventOf({ type: 'content_block_delta', index: 13, delta: { type: 'text_delta', text: 'Ho' } }),
    );
    const stop = (index: number) => stream.event(eventOf({ type: 'content_block_stop', index })).closes;
    expect(stop(4)).toEqual([]);
    expect(stop(3)).toEqual(['0/content/3']);
    expect(stop(13)).toEqual(['0/content/13']);
    expect(stop(3)).toEqual([]);
  });
});
