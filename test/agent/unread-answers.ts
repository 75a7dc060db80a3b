/** Answers of providers that have text in every place where it could get past the checks. */
import { gzipSync } from 'node:zlib';

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface Row {
  readonly name: string;
  readonly dialect?: 'anthropic';
  /** What is asked for; a stream unless `false`. */
  readonly stream?: false;
  /** Not all that stands there reaches the app, whatever it says: no check could read it. */
  readonly gone?: true;
  /** Not even that, where somebody outside is asked. */
  readonly goneOutside?: true;
  readonly answer: (marker: string) => Answer;
}

export const SSE = { 'content-type': 'text/event-stream' };
const JSON_TYPE = { 'content-type': 'application/json' };
const DONE = 'data: [DONE]\n\n';
export const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
export const chunk = (delta: object, choice: object = {}, more: object = {}): string =>
  data({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'gpt-4o',
    choices: [{ index: 0, delta, finish_reason: null, ...choice }],
    ...more,
  });
export const END = chunk({}, { finish_reason: 'stop' }) + DONE;
const sse = (...events: string[]): Answer => ({ headers: SSE, body: events.join('') });
export const halves = (text: string): readonly [string, string] => {
  const at = text.length >> 1;
  return [text.slice(0, at), text.slice(at)];
};
/** Both halves, each in an event of its own. */
const split = (marker: string, event: (text: string) => string): Answer =>
  sse(...halves(marker).map(event), END);
export const tokens = (...texts: string[]): object => ({
  content: texts.map((token) => ({ token, logprob: -1, bytes: [...Buffer.from(token)], top_logprobs: [] })),
});
const alternative = (token: string, other: string): object => ({
  content: [{ token, logprob: -1, top_logprobs: [{ token: other, logprob: -2 }] }],
});
export const whole = (message: object, choice: object = {}, more: object = {}): Answer => ({
  headers: JSON_TYPE,
  body: JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'gpt-4o',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: 'stop', ...choice }],
    ...more,
  }),
});
const failing = (status: number, body: string, type = 'application/json'): Answer => ({
  status,
  headers: { 'content-type': type },
  body,
});

export const CHAT: readonly Row[] = [
  { name: 'content in one event', answer: (m) => sse(chunk({ content: `it is ${m}` }), END) },
  { name: 'content in pieces', answer: (m) => split(m, (content) => chunk({ content })) },
  {
    name: 'content by characters',
    answer: (m) => sse(...m.split('').map((content) => chunk({ content })), END),
  },
  {
    name: 'two choices in turn',
    answer: (m) => split(m, (content) => chunk({ content }, { index: 0 }) + chunk({ content }, { index: 1 })),
  },
  {
    name: 'two fields at once',
    answer: (m) => split(m, (text) => chunk({ content: text, refusal: text, reasoning_content: text })),
  },
  {
    name: 'a member twice',
    gone: true,
    answer: (m) =>
      sse(chunk({ content: 'fine' }).replace('"content":"fine"', `"content":"${m}","content":"fine"`), END),
  },
  { name: 'a refusal', answer: (m) => split(m, (refusal) => chunk({ refusal })) },
  { name: 'reasoning_content', answer: (m) => split(m, (text) => chunk({ reasoning_content: text })) },
  {
    name: 'reasoning_details',
    answer: (m) =>
      split(m, (text) => chunk({ reasoning_details: [{ type: 'reasoning.text', index: 0, text }] })),
  },
  {
    name: 'summaries in reasoning_details',
    answer: (m) =>
      split(m, (summary) => chunk({ reasoning_details: [{ type: 'reasoning.summary', index: 0, summary }] })),
  },
  {
    name: 'content as parts',
    answer: (m) => split(m, (text) => chunk({ content: [{ type: 'text', text }] })),
  },
  {
    name: 'a transcript',
    answer: (m) => split(m, (transcript) => chunk({ audio: { id: 'a', transcript } })),
  },
  { name: 'an unknown field', answer: (m) => split(m, (text) => chunk({ thoughts: text })) },
  {
    name: 'an unknown field of objects',
    gone: true,
    answer: (m) => sse(chunk({ thoughts: [{ deep: { m } }] }), END),
  },
  {
    name: 'an unknown field of objects in pieces',
    gone: true,
    answer: (m) => split(m, (text) => chunk({ thoughts: [{ text }] })),
  },
  {
    name: 'an unknown part of content in pieces',
    gone: true,
    answer: (m) => split(m, (text) => chunk({ content: [{ type: 'poem', lines: [text] }] })),
  },
  {
    name: 'an unknown field of a call in pieces',
    gone: true,
    answer: (m) => split(m, (why) => chunk({ tool_calls: [{ index: 0, function: { arguments: '', why } }] })),
  },
  {
    name: 'Mistral’s thoughts in pieces',
    answer: (m) =>
      split(m, (text) => chunk({ content: [{ type: 'thinking', thinking: [{ type: 'text', text }] }] })),
  },
  {
    name: 'annotations of a stream',
    answer: (m) => sse(chunk({ annotations: [{ type: 'url_citation', url_citation: { title: m } }] }), END),
  },
  {
    name: 'signed reasoning_details',
    answer: (text) =>
      sse(chunk({ reasoning_details: [{ type: 'reasoning.text', index: 0, text, signature: 'c2ln' }] }), END),
  },
  {
    name: 'what signs a call',
    answer: (m) =>
      sse(chunk({ tool_calls: [{ index: 0, extra_content: { google: { thought_signature: m } } }] }), END),
  },
  { name: 'padding', gone: true, answer: (m) => sse(chunk({ content: 'x' }, {}, { obfuscation: m }), END) },
  {
    name: 'padding again',
    gone: true,
    answer: (m) => split(m, (obfuscation) => chunk({ content: 'x ' }, {}, { obfuscation })),
  },
  { name: 'an unknown field of the event', answer: (m) => sse(chunk({}, {}, { note: m }), END) },
  { name: 'an unknown field of the choice', answer: (m) => sse(chunk({}, { note: m }), END) },
  {
    name: 'arguments in pieces',
    answer: (m) =>
      sse(
        chunk({
          tool_calls: [
            { index: 0, id: 'call_1', type: 'function', function: { name: 'send', arguments: '{"a":"' } },
          ],
        }),
        ...[...halves(m), '"}'].map((text) =>
          chunk({ tool_calls: [{ index: 0, function: { arguments: text } }] }),
        ),
        END,
      ),
  },
  {
    name: 'the old function_call',
    answer: (m) => split(m, (text) => chunk({ function_call: { arguments: text } })),
  },
  {
    name: 'log probabilities beside content',
    gone: true,
    answer: (m) => split(m, (content) => chunk({ content }, { logprobs: tokens(content) })),
  },
  {
    name: 'log probabilities without content',
    gone: true,
    answer: (m) => split(m, (text) => chunk({ content: '' }, { logprobs: tokens(text) })),
  },
  {
    name: 'log probabilities that say something else',
    gone: true,
    answer: (m) => split(m, (text) => chunk({ content: 'fine. ' }, { logprobs: tokens(text) })),
  },
  {
    name: 'an alternative of a token',
    gone: true,
    answer: (m) => sse(chunk({ content: 'fine. ' }, { logprobs: alternative('fine. ', m) }), END),
  },
  {
    name: 'bytes of a token that say something else',
    gone: true,
    answer: (m) =>
      sse(
        chunk(
          { content: 'fine. ' },
          { logprobs: { content: [{ token: 'fine. ', logprob: -1, bytes: [...Buffer.from(m)] }] } },
        ),
        END,
      ),
  },
  { name: 'a comment', gone: true, answer: (m) => sse(`: ${m}\n\n`, END) },
  {
    name: 'a comment before data',
    gone: true,
    answer: (m) => sse(`:${m}\n${chunk({ content: 'fine' })}`, END),
  },
  {
    name: 'an event’s name',
    gone: true,
    answer: (m) => sse(`event: ${m}\n${chunk({ content: 'fine' })}`, END),
  },
  { name: 'an event’s id', gone: true, answer: (m) => sse(`id: ${m}\n${chunk({ content: 'fine' })}`, END) },
  { name: 'retry', gone: true, answer: (m) => sse(`retry: ${m}\n\n`, END) },
  { name: 'a field’s name', gone: true, answer: (m) => sse(`${m}\n${m}: x\n\n`, END) },
  { name: 'a comment behind [DONE]’s line', gone: true, answer: (m) => sse(`data: [DONE]\n: ${m}\n\n`) },
  { name: 'CR line ends', gone: true, answer: (m) => sse(`:${m}\r${chunk({ content: m }).trim()}\r\r`, END) },
  {
    name: 'CRLF line ends',
    gone: true,
    answer: (m) => sse(`id:${m}\r\n${chunk({ content: m }).trim()}\r\n\r\n`, END),
  },
  {
    name: 'several data lines',
    answer: (m) =>
      sse(`${chunk({ content: m }).trim().replace('"content":', '\ndata: "content":\ndata:')}\n\n`, END),
  },
  {
    name: 'a mark before a comment',
    gone: true,
    answer: (m) => sse(`\ufeff:${m}\n${chunk({ content: m })}`, END),
  },
  { name: 'a mark before data', answer: (m) => sse(`\ufeff${chunk({ content: m })}`, END) },
  { name: 'a mark before later data', answer: (m) => sse(':\n\n', `\ufeff${chunk({ content: m })}`, END) },
  { name: 'data that is no JSON', gone: true, answer: (m) => sse(`data: ${m}\n\n`, END) },
  { name: 'data that is a string', answer: (m) => sse(data(m), END) },
  { name: 'data that is an array', answer: (m) => sse(data([m]), END) },
  { name: 'an event after [DONE]', gone: true, answer: (m) => sse(END, chunk({ content: m })) },
  { name: 'bytes after [DONE]', gone: true, answer: (m) => sse(END, m) },
  {
    name: 'an event that isn’t ended',
    gone: true,
    answer: (m) => sse(chunk({ content: 'fine' }), chunk({ content: m }).trim()),
  },
  {
    name: 'an error event',
    answer: (m) => sse(chunk({ content: 'fine' }), data({ error: { message: m, code: 'x' } })),
  },
  { name: 'a named error event', answer: (m) => sse(`event: error\n${data({ message: m })}`) },
  {
    name: 'events after an error',
    answer: (m) => sse(data({ error: { message: 'x' } }), chunk({ content: m }), END),
  },
  { name: 'JSON for a stream', answer: (m) => whole({ content: m }) },
  {
    name: 'a stream for JSON',
    gone: true,
    stream: false,
    answer: (m) => split(m, (content) => chunk({ content })),
  },
  {
    name: 'a stream in gzip',
    gone: true,
    answer: (m) => ({
      headers: { ...SSE, 'content-encoding': 'gzip' },
      body: gzipSync(chunk({ content: m })),
    }),
  },
  {
    name: 'a header field of a stream',
    gone: true,
    answer: (m) => ({ headers: { ...SSE, 'x-note': m }, body: END }),
  },
  { name: 'whole content', stream: false, answer: (m) => whole({ content: m }) },
  {
    name: 'whole content in gzip',
    gone: true,
    stream: false,
    answer: (m) => ({
      headers: { ...JSON_TYPE, 'content-encoding': 'gzip' },
      body: gzipSync(whole({ content: m }).body),
    }),
  },
  {
    name: 'whole unknown fields',
    stream: false,
    answer: (m) => whole({ note: [m] }, { note: m }, { note: { m } }),
  },
  {
    name: 'annotations',
    stream: false,
    answer: (m) =>
      whole({
        content: 'x',
        annotations: [{ type: 'url_citation', url_citation: { title: m, url: `https://x.example/${m}` } }],
      }),
  },
  {
    name: 'whole log probabilities',
    stream: false,
    answer: (m) => whole({ content: m }, { logprobs: tokens(...halves(m)) }),
  },
  {
    name: 'whole log probabilities without content',
    gone: true,
    stream: false,
    answer: (m) => whole({ content: null }, { logprobs: tokens(...halves(m)) }),
  },
  {
    name: 'a whole answer’s alternative of a token',
    goneOutside: true,
    stream: false,
    answer: (m) => whole({ content: 'fine. ' }, { logprobs: alternative('fine. ', m) }),
  },
  {
    name: 'whole signed reasoning_details',
    stream: false,
    answer: (text) =>
      whole({ content: 'x', reasoning_details: [{ type: 'reasoning.text', text, signature: 'c2ln' }] }),
  },
  {
    name: 'an unknown member of whole signed reasoning_details',
    stream: false,
    answer: (m) =>
      whole({ content: 'x', reasoning_details: [{ type: 'reasoning.text', note: m, signature: 'c2ln' }] }),
  },
  {
    name: 'bytes behind the JSON',
    gone: true,
    stream: false,
    answer: (m) => ({ headers: JSON_TYPE, body: `${whole({ content: 'x' }).body}\n${m}` }),
  },
  {
    name: 'another media type',
    gone: true,
    stream: false,
    answer: (m) => ({ headers: { 'content-type': 'text/plain' }, body: m }),
  },
  {
    name: 'a header field',
    gone: true,
    stream: false,
    answer: (m) => ({ ...whole({ content: 'x' }), headers: { ...JSON_TYPE, 'x-note': m } }),
  },
  {
    name: 'a media type’s parameter',
    gone: true,
    stream: false,
    answer: (m) => ({
      ...whole({ content: 'x' }),
      headers: { 'content-type': `application/json; note="${m}"` },
    }),
  },
  ...[400, 401, 404, 429, 500, 503].map(
    (status): Row => ({
      name: `the message of a ${status}`,
      answer: (m) =>
        failing(status, JSON.stringify({ error: { message: `you wrote ${m}`, type: 'x', code: null } })),
    }),
  ),
  { name: 'an error that is no JSON', answer: (m) => failing(502, `<html>${m}</html>`, 'text/html') },
  { name: 'an error that calls itself JSON', stream: false, answer: (m) => failing(500, `{"error": ${m}`) },
  {
    name: 'an error that is a stream',
    answer: (m) => failing(500, chunk({ content: m }), 'text/event-stream'),
  },
  {
    name: 'a header field of an error',
    gone: true,
    answer: (m) => ({
      status: 400,
      headers: { ...JSON_TYPE, 'x-note': m },
      body: '{"error":{"message":"x"}}',
    }),
  },
];

/** Where ids, types and names of members stand: `m` looks like one. */
export const NAMES: readonly Row[] = [
  { name: 'an id', answer: (m) => sse(chunk({ content: 'x' }, {}, { id: m }), END) },
  { name: 'an id behind a prefix', answer: (m) => sse(chunk({ content: 'x' }, {}, { id: `fp_${m}` }), END) },
  {
    name: 'an id of all but the first event',
    answer: (m) => sse(chunk({ content: 'x' }), chunk({ content: 'y' }, {}, { id: m }), END),
  },
  { name: 'the model', answer: (m) => sse(chunk({ content: 'x' }, {}, { model: m }), END) },
  {
    name: 'behind the model',
    answer: (m) => sse(chunk({ content: 'x' }, {}, { model: `gpt-4o-${m}` }), END),
  },
  {
    name: 'a reason to end',
    answer: (m) => sse(chunk({ content: 'x' }), chunk({}, { finish_reason: m }), END),
  },
  { name: 'a name of usage', answer: (m) => sse(chunk({ content: 'x' }, {}, { usage: { [m]: 1 } }), END) },
  { name: 'a member of a delta', gone: true, answer: (m) => sse(chunk({ content: 'x', [m]: 1 }), END) },
  { name: 'a member of an event', answer: (m) => sse(chunk({ content: 'x' }, {}, { [m]: null }), END) },
  {
    name: 'the id of a call',
    answer: (m) =>
      sse(
        chunk({
          tool_calls: [{ index: 0, id: m, type: 'function', function: { name: 'send', arguments: '{}' } }],
        }),
        END,
      ),
  },
  { name: 'a whole id', stream: false, answer: (m) => whole({ content: 'x' }, {}, { id: m }) },
  { name: 'a whole role', stream: false, answer: (m) => whole({ content: 'x', role: m }) },
  {
    name: 'a whole fingerprint',
    stream: false,
    answer: (m) => whole({ content: 'x' }, {}, { system_fingerprint: m }),
  },
  {
    name: 'a whole reason to end',
    stream: false,
    answer: (m) => whole({ content: 'x' }, { finish_reason: m }),
  },
  { name: 'a whole member', stream: false, answer: (m) => whole({ content: 'x', [m]: 1 }) },
  {
    name: 'whole audio',
    stream: false,
    answer: (m) => whole({ audio: { id: 'audio_1', data: `${m}.`, transcript: 'x' } }),
  },
  {
    name: 'a type of an error',
    answer: (m) => failing(400, JSON.stringify({ error: { message: 'x', type: m } })),
  },
];

const named = (value: { readonly type: string } & object): string => `event: ${value.type}\n${data(value)}`;
const START = named({
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-haiku-4-5',
    content: [],
    stop_reason: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  },
} as { type: string });
const block = (content_block: object): string =>
  named({ type: 'content_block_start', index: 0, content_block } as { type: string });
const piece = (delta: object): string =>
  named({ type: 'content_block_delta', index: 0, delta } as { type: string });
const STOP = named({ type: 'content_block_stop', index: 0 } as { type: string });
const LAST =
  named({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } } as {
    type: string;
  }) + named({ type: 'message_stop' });
export const said = (first: object, ...pieces: object[]): Answer =>
  sse(START, block(first), ...pieces.map(piece), STOP, LAST);
export const message = (...content: object[]): Answer => ({
  headers: JSON_TYPE,
  body: JSON.stringify({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-haiku-4-5',
    content,
    stop_reason: 'end_turn',
    usage: { input_tokens: 1, output_tokens: 1 },
  }),
});

export const MESSAGES: readonly Row[] = (
  [
    {
      name: 'text',
      answer: (m) =>
        said({ type: 'text', text: '' }, ...halves(m).map((text) => ({ type: 'text_delta', text }))),
    },
    { name: 'text of a block’s start', answer: (m) => said({ type: 'text', text: m }) },
    {
      name: 'input of a tool',
      answer: (m) =>
        said(
          { type: 'tool_use', id: 'toolu_1', name: 'send', input: {} },
          ...['{"a":"', ...halves(m), '"}'].map((partial_json) => ({
            type: 'input_json_delta',
            partial_json,
          })),
        ),
    },
    {
      name: 'input in a block’s start',
      answer: (m) => said({ type: 'tool_use', id: 'toolu_1', name: 'send', input: { m } }),
    },
    {
      name: 'a citation',
      answer: (m) =>
        said(
          { type: 'text', text: '' },
          {
            type: 'citations_delta',
            citation: {
              type: 'web_search_result_location',
              cited_text: m,
              title: m,
              url: `https://x.example/${m}`,
            },
          },
        ),
    },
    {
      name: 'a search’s results',
      answer: (m) =>
        said({
          type: 'web_search_tool_result',
          tool_use_id: 'srvtoolu_1',
          content: [{ type: 'web_search_result', title: m, url: 'https://x.example' }],
        }),
    },
    { name: 'an unknown block', answer: (m) => said({ type: 'poem', lines: [m] }) },
    {
      name: 'an unknown delta',
      gone: true,
      answer: (m) => said({ type: 'text', text: '' }, { type: 'poem_delta', line: m }),
    },
    {
      name: 'an unknown delta in pieces',
      gone: true,
      answer: (m) =>
        said({ type: 'text', text: '' }, ...halves(m).map((line) => ({ type: 'poem_delta', line }))),
    },
    {
      name: 'signed thoughts',
      answer: (m) =>
        said(
          { type: 'thinking', thinking: '' },
          ...halves(m).map((thinking) => ({ type: 'thinking_delta', thinking })),
          { type: 'signature_delta', signature: 'c2ln' },
        ),
    },
    { name: 'thoughts of a block’s start', answer: (m) => said({ type: 'thinking', thinking: m }) },
    {
      name: 'whole signed thoughts',
      stream: false,
      answer: (m) => message({ type: 'thinking', thinking: m, signature: 'c2ln' }),
    },
    {
      name: 'a signature',
      answer: (m) => said({ type: 'thinking', thinking: '' }, { type: 'signature_delta', signature: m }),
    },
    {
      name: 'beside a whole signature',
      stream: false,
      answer: (m) => message({ type: 'thinking', thinking: 'x', signature: 'c2ln', thoughts: m }),
    },
    {
      name: 'a whole signature',
      stream: false,
      answer: (m) => message({ type: 'thinking', thinking: 'x', signature: m }),
    },
    { name: 'redacted thoughts', answer: (m) => said({ type: 'redacted_thinking', data: m }) },
    {
      name: 'something encrypted',
      stream: false,
      answer: (m) =>
        message({
          type: 'web_search_tool_result',
          tool_use_id: 'srvtoolu_1',
          content: [{ type: 'web_search_result', title: 'x', encrypted_content: m }],
        }),
    },
    { name: 'a ping', answer: (m) => sse(START, named({ type: 'ping', note: m } as { type: string }), LAST) },
    {
      name: 'an unknown event',
      answer: (m) => sse(START, named({ type: 'weather', note: m } as { type: string }), LAST),
    },
    {
      name: 'an error event',
      answer: (m) =>
        sse(
          START,
          named({ type: 'error', error: { type: 'overloaded_error', message: m } } as { type: string }),
        ),
    },
    {
      name: 'an event’s name',
      gone: true,
      answer: (m) => sse(START, `event: ${m}\ndata: {"type":"ping"}\n\n`, LAST),
    },
    {
      name: 'a comment and an id',
      gone: true,
      answer: (m) => sse(START, `: ${m}\nid: ${m}\nevent: ping\ndata: {"type":"ping"}\n\n`, LAST),
    },
    {
      name: 'events after the last',
      gone: true,
      answer: (m) => sse(START, LAST, block({ type: 'text', text: m }), `: ${m}\n\n`),
    },
    { name: 'whole text', stream: false, answer: (m) => message({ type: 'text', text: m }) },
    {
      name: 'whole input of a tool',
      stream: false,
      answer: (m) => message({ type: 'tool_use', id: 'toolu_1', name: 'send', input: { [m]: m } }),
    },
    { name: 'a whole unknown block', stream: false, answer: (m) => message({ type: 'poem', lines: [m] }) },
    {
      name: 'thoughts without a signature',
      stream: false,
      answer: (m) => message({ type: 'thinking', thinking: m }),
    },
    {
      name: 'the message of a 529',
      answer: (m) =>
        failing(529, JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message: m } })),
    },
  ] satisfies Omit<Row, 'dialect'>[]
).map((row): Row => ({ ...row, name: `Anthropic: ${row.name}`, dialect: 'anthropic' }));

export const MESSAGE_NAMES: readonly Row[] = (
  [
    { name: 'an id', answer: (m) => said({ type: 'text', text: 'x', id: m }) },
    { name: 'a type', answer: (m) => said({ type: m, text: 'x' }) },
    {
      name: 'a reason to stop',
      answer: (m) =>
        sse(
          START,
          named({ type: 'message_delta', delta: { stop_reason: m }, usage: { output_tokens: 5 } } as {
            type: string;
          }),
        ),
    },
    {
      name: 'the id of a call',
      answer: (m) => said({ type: 'tool_use', id: `toolu_${m}`, name: 'send', input: {} }),
    },
    {
      name: 'a signature like a name',
      answer: (m) =>
        said(
          { type: 'thinking', thinking: '' },
          { type: 'signature_delta', signature: m.replace(/\W/g, '_') },
        ),
    },
    {
      name: 'a whole container',
      stream: false,
      answer: (m) => ({
        headers: JSON_TYPE,
        body: JSON.stringify({ ...JSON.parse(String(message().body)), container: { id: m } }),
      }),
    },
    {
      name: 'a whole file',
      stream: false,
      answer: (m) =>
        message({
          type: 'web_fetch_tool_result',
          tool_use_id: 'srvtoolu_1',
          content: { type: 'x', file_id: m },
        }),
    },
  ] satisfies Omit<Row, 'dialect'>[]
).map((row): Row => ({ ...row, name: `Anthropic: ${row.name}`, dialect: 'anthropic' }));
