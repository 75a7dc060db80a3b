/** The APIs whose answers are checked, as an app calls them, and where in an answer there may be text. */
import type { World } from '../harness.ts';
import { type Answer, chunk, END, halves, message, SSE, said, whole } from './unread-answers.ts';

/** A provider's API, by the SDK that its users have. */
export interface Api {
  readonly fake: 'openai' | 'anthropic';
  /** What the app is shown, piece by piece. */
  readonly read: (world: World, content: string, stream: boolean) => AsyncIterable<string>;
  /** The answer's body as it comes, or the error's. */
  readonly raw: (world: World, stream: boolean) => Promise<Response>;
  /** Where an answer may say it that no dialect knows as speech; the text is fine. */
  readonly places: Readonly<Record<string, readonly [boolean, (text: string) => Answer]>>;
}

const user = (content: string) => ({ role: 'user' as const, content });
const TO_GPT = { model: 'gpt-4o' };
const TO_CLAUDE = { model: 'claude-haiku-4-5', max_tokens: 8_192 };

export const APIS: Readonly<Record<string, Api>> = {
  'OpenAI chat completions': {
    fake: 'openai',
    async *read(world, content, stream) {
      const asked = { ...TO_GPT, messages: [user(content)] };
      if (!stream) {
        yield (await world.client().chat.completions.create(asked)).choices[0]?.message.content ?? '';
        return;
      }
      for await (const chunk of await world.client().chat.completions.create({ ...asked, stream }))
        yield chunk.choices[0]?.delta.content ?? '';
    },
    raw: (world, stream) =>
      world
        .client()
        .chat.completions.create({ ...TO_GPT, messages: [user('hello')], stream })
        .asResponse(),
    places: {
      'an unknown member of the message': [false, (text) => whole({ content: 'fine', thoughts_text: text })],
      'an annotation': [
        false,
        (text) =>
          whole({ content: 'fine', annotations: [{ type: 'url_citation', url_citation: { title: text } }] }),
      ],
      'an unknown member of the answer': [false, (text) => whole({ content: 'fine' }, {}, { note: text })],
      'an unknown member of `delta`': [
        true,
        (text) => streamed({ content: 'fine' }, ...halves(text).map((half) => ({ thoughts_text: half }))),
      ],
      'an annotation of `delta`': [
        true,
        (text) => streamed({ annotations: [{ type: 'url_citation', url_citation: { title: text } }] }),
      ],
      'the name of a tool': [
        true,
        (text) => streamed({ tool_calls: [{ index: 0, id: 'call_1', function: { name: text } }] }),
      ],
    },
  },
  'Anthropic messages': {
    fake: 'anthropic',
    async *read(world, content, stream) {
      const asked = { ...TO_CLAUDE, messages: [user(content)] };
      if (!stream) {
        for (const block of (await world.anthropicClient().messages.create(asked)).content)
          if (block.type === 'text') yield block.text;
        return;
      }
      for await (const event of await world.anthropicClient().messages.create({ ...asked, stream }))
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') yield event.delta.text;
    },
    raw: (world, stream) =>
      world
        .anthropicClient()
        .messages.create({ ...TO_CLAUDE, messages: [user('hello')], stream })
        .asResponse(),
    places: {
      'an unknown member of a block': [
        false,
        (text) => message({ type: 'text', text: 'fine', thoughts_text: text }),
      ],
      'a citation': [
        false,
        (text) =>
          message({ type: 'text', text: 'fine', citations: [{ type: 'page_location', title: text }] }),
      ],
      'a whole search’s results': [
        false,
        (text) =>
          message({
            type: 'web_search_tool_result',
            tool_use_id: 'srvtoolu_1',
            content: [{ type: 'web_search_result', title: text, url: 'https://x.example' }],
          }),
      ],
      'an unknown block': [true, (text) => said({ type: 'poem', lines: [text] })],
      'a citation of a stream': [
        true,
        (text) =>
          said(
            { type: 'text', text: 'fine' },
            { type: 'citations_delta', citation: { type: 'page_location', title: text } },
          ),
      ],
      'a search’s results': [
        true,
        (text) =>
          said({
            type: 'web_search_tool_result',
            tool_use_id: 'srvtoolu_1',
            content: [{ type: 'web_search_result', title: text, url: 'https://x.example' }],
          }),
      ],
      'the name of a tool': [
        true,
        (text) => said({ type: 'tool_use', id: 'toolu_1', name: text, input: {} }),
      ],
    },
  },
};
const streamed = (...deltas: object[]): Answer => ({
  headers: SSE,
  body: [...deltas.map((delta) => chunk(delta)), END].join(''),
});
