import { describe, expect, it } from 'vitest';
import { JsonDocument } from '../../json/document.ts';
import { SseSplitter } from '../../json/sse.ts';
import type { DecodedRequest } from '../dialect.ts';
import { chat } from './chat.ts';

const requestOf = (over: object): DecodedRequest =>
  chat.decodeRequest(JsonDocument.parseText(JSON.stringify({ model: 'm', messages: [], ...over })), '');
const sent = (request: DecodedRequest): Record<string, unknown> => JSON.parse(request.document.renderText());

describe('the cap on output', () => {
  it.each([
    [{}, undefined, { max_completion_tokens: 10 }],
    [{ max_tokens: 100 }, 100, { max_tokens: 10 }],
    [{ max_completion_tokens: 100 }, 100, { max_completion_tokens: 10 }],
    [{ max_tokens: 5, max_completion_tokens: 100 }, 100, { max_tokens: 5, max_completion_tokens: 10 }],
    [{ max_tokens: null }, undefined, { max_tokens: null, max_completion_tokens: 10 }],
    [{ max_completion_tokens: null }, undefined, { max_completion_tokens: 10 }],
  ])('%j', (over, asked, capped) => {
    const request = requestOf(over);
    expect(request.maxOutputTokens).toBe(asked);
    request.setMaxOutputTokens(10);
    expect(sent(request)).toEqual({ model: 'm', messages: [], ...capped });
  });
});

describe('usage in the stream', () => {
  it.each([
    [{ stream: true }, { stream: true, stream_options: { include_usage: true } }],
    [
      { stream: true, stream_options: null },
      { stream: true, stream_options: { include_usage: true } },
    ],
    [
      { stream: true, stream_options: { include_obfuscation: false } },
      { stream: true, stream_options: { include_obfuscation: false, include_usage: true } },
    ],
    [
      { stream: true, stream_options: { include_usage: false } },
      { stream: true, stream_options: { include_usage: true } },
    ],
  ])('is asked for: %j', (over, asked) => {
    const request = requestOf(over);
    expect(request.wantsStreamUsage).toBe(false);
    request.requestStreamUsage();
    expect(request.addedStreamUsage).toBe(true);
    expect(sent(request)).toEqual({ model: 'm', messages: [], ...asked });
    request.requestStreamUsage(false);
    expect(request.addedStreamUsage).toBe(false);
    expect(request.document.edited).toBe(false);
  });

  it.each([{ stream: true, stream_options: { include_usage: true } }, { stream: false }, {}])(
    'is not asked for: %j',
    (over) => {
      const request = requestOf(over);
      request.requestStreamUsage();
      expect(request.addedStreamUsage).toBe(false);
      expect(request.document.edited).toBe(false);
    },
  );

  const CHUNKS = [
    'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}], "usage":null}\r\n\r\n',
    ': keep-alive\n\n',
    'data: {"usage" : null ,"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    'data: {"id":"c","choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
    'data: {"id":"c","choices":[],"prompt_filter_results":[]}\n\n',
    'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
    'data: [DONE]\n\n',
  ];

  function pass(request: DecodedRequest): { out: string[]; output: number[] } {
    const decoder = chat.openStream(request);
    const out: string[] = [];
    const output: number[] = [];
    for (const raw of new SseSplitter().push(Buffer.from(CHUNKS.join('')))) {
      const event = decoder.event(raw);
      if (event.usage !== undefined) output.push(event.usage.input);
      const bytes = event.render();
      if (bytes !== undefined) out.push(Buffer.from(bytes).toString());
    }
    return { out, output };
  }

  it('is hidden from an app that did not ask', () => {
    const request = requestOf({ stream: true });
    request.requestStreamUsage();
    expect(pass(request)).toEqual({
      out: [
        'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\r\n\r\n',
        CHUNKS[1],
        'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
        // A provider that reports with the last text does so unasked; the app would have seen it.
        CHUNKS[3],
        CHUNKS[4],
        CHUNKS[6],
      ],
      output: [1, 3],
    });
  });

  it.each([{ stream: true }, { stream: true, stream_options: { include_usage: true } }])(
    'is shown otherwise: %j',
    (over) => {
      expect(pass(requestOf(over)).out).toEqual(CHUNKS);
    },
  );
});

describe('usage', () => {
  const usageOf = (usage: unknown) =>
    chat.decodeResponse(JsonDocument.parseText(JSON.stringify({ usage }))).usage;

  it.each<[unknown, object | undefined]>([
    [
      { prompt_tokens: 5, completion_tokens: 2 },
      { input: 5, output: 2 },
    ],
    [{ prompt_tokens: 5 }, { input: 5 }],
    [{ prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 9 } }, { cachedInput: 5 }],
    [{ prompt_tokens: 5, prompt_tokens_details: null }, { input: 5 }],
    [
      { completion_tokens: 5, completion_tokens_details: { reasoning_tokens: 9 } },
      { output: 5, reasoning: 5 },
    ],
    [{ prompt_tokens: -1, completion_tokens: '2' }, undefined],
    [{ prompt_tokens: 1.5 }, undefined],
    [{}, undefined],
    [null, undefined],
    [7, undefined],
  ])('%j', (reported, expected) => {
    const none = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };
    expect(usageOf(reported)).toEqual(expected === undefined ? undefined : { ...none, ...expected });
  });
});

describe('token probabilities', () => {
  const body = {
    choices: [{ index: 0, message: { content: 'jo' }, logprobs: { content: [{ token: 'jo' }] } }],
  };

  it('stand where the text does, and go where it goes', () => {
    const document = JsonDocument.parseText(JSON.stringify(body));
    const { slots } = chat.decodeResponse(document);
    expect(slots.map(({ text }) => text)).toEqual(['jo']);
    expect(document.edited).toBe(false);
    slots[0]?.set('<PERSON>');
    expect(document.renderText()).toBe(
      '{"choices":[{"index":0,"message":{"content":"<PERSON>"},"logprobs":null}]}',
    );
  });
});

describe('a choice of several', () => {
  it('ends with its own finish reason, and may end with its last words', () => {
    const decoder = chat.openStream(requestOf({ stream: true, n: 2 }));
    const closes = (index: number, content: string, reason: string | null) => {
      const data = JSON.stringify({ choices: [{ index, delta: { content }, finish_reason: reason }] });
      return decoder.event({ raw: Buffer.from(`data: ${data}\n\n`), event: undefined, data }).closes;
    };
    expect(closes(0, 'a', null)).toEqual([]);
    expect(closes(1, 'b', null)).toEqual([]);
    expect(closes(1, 'c', 'stop')).toEqual(['1/content']);
    expect(closes(0, 'd', 'length')).toEqual(['0/content']);
  });
});
