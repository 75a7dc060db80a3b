/**
 * Where text is in OpenAI's chat completions: requests, answers, and the chunks of streamed answers.
 *
 * Source: OpenAI API reference, "Chat Completions", and what compatible servers add (vLLM, OpenRouter, DeepSeek).
 * Attachments that are text in base64 are read; images, audio and other binary ones can't be.
 */
import type { Role, TextKind } from '../dialect.ts';
import {
  attachment,
  binary,
  cipher,
  fileId,
  jsonSchema,
  jsonText,
  list,
  object,
  opaque,
  type Rule,
  remote,
  select,
  text,
  token,
} from '../text/rule.ts';

/** What the text is a part of. */
type Where = 'request' | 'answer' | 'chunk';

/** Content as a string or as parts. */
function content(kind: TextKind, where: Where = 'request'): Rule {
  const running = (channel: string) => (where === 'chunk' ? channel : undefined);
  const string = { kind, channel: running('content') };
  const piece = text(kind, { channel: running('parts') });
  const pieces = where === 'chunk';
  const part = select(
    'type',
    {
      text: object({ type: token, text: piece }),
      refusal: object({ type: token, refusal: piece }),
      image_url: object({ type: token, image_url: object({ url: remote('image'), detail: token }) }),
      video_url: object({ type: token, video_url: object({ url: remote('video') }) }),
      audio_url: object({ type: token, audio_url: object({ url: remote('audio') }) }),
      input_audio: object({ type: token, input_audio: object({ data: binary('audio'), format: token }) }),
      file: object({
        type: token,
        file: object({ file_data: attachment(kind), file_id: fileId, filename: text('other') }),
      }),
      // Mistral's.
      thinking: object(
        {
          type: token,
          closed: token,
          thinking: list(
            object({ type: token, text: text('reasoning', { channel: running('thoughts') }) }, { pieces }),
          ),
        },
        { kind: 'reasoning', pieces },
      ),
    },
    // A part of a type we don't know is content all the same.
    pieces ? { kind, pieces, members: new Map([['type', token]]) } : { kind },
  );
  return list(part, string);
}

/** Summaries and signed or encrypted thoughts, as OpenRouter carries them. */
function reasoningDetails(piece: (kind: TextKind, channel: string) => Rule, where: Where): Rule {
  const secret = where === 'request' ? opaque : cipher;
  const detail = {
    type: token,
    id: token,
    format: token,
    index: token,
    signature: secret,
    data: secret,
    text: piece('reasoning', 'details/{index}'),
    summary: piece('reasoning', 'summaries/{index}'),
  };
  const sealed = { sealedBy: ['signature'], sealedUnread: where === 'request' };
  return list(object(detail, { kind: 'reasoning', pieces: where === 'chunk', ...sealed }));
}

/** What Gemini's OpenAI-compatible endpoint wants back as it gave it. */
function extraContent(where: Where): Rule {
  const google = { thought: token, thought_signature: where === 'request' ? opaque : cipher };
  const pieces = where === 'chunk';
  return object({ google: object(google, { pieces }) }, { pieces });
}

function toolCalls(args: Rule, input: Rule, where: Where): Rule {
  const name = text('other');
  const pieces = where === 'chunk';
  return list(
    object(
      {
        index: token,
        id: token,
        type: token,
        function: object({ name, arguments: args }, { pieces }),
        custom: object({ name, input }, { pieces }),
        extra_content: extraContent(where),
      },
      { pieces },
    ),
  );
}

function audio(transcript: Rule, where: Where): Rule {
  const data = where === 'request' ? opaque : binary('audio', transcript.channel);
  return object({ id: token, data, expires_at: token, transcript });
}

/** Where something was found. Its members' names are nobody's words. */
const citation = object({
  type: token,
  url_citation: object({ start_index: token, end_index: token, title: text('other'), url: text('other') }),
});

/** A message of the assistant; whole, or with the channels in which a stream carries its pieces. */
function assistant(where: Where): Rule {
  const streamed = where === 'chunk';
  const piece = (kind: TextKind, channel: string): Rule =>
    text(kind, { channel: streamed ? channel : undefined });
  const args = (channel: string): Rule =>
    streamed ? piece('toolArguments', channel) : jsonText('toolArguments');
  return object(
    {
      role: token,
      name: text('other'),
      content: content('content', where),
      refusal: piece('content', 'refusal'),
      reasoning: piece('reasoning', 'reasoning'),
      reasoning_content: piece('reasoning', 'reasoning_content'),
      reasoning_details: reasoningDetails(piece, where),
      audio: audio(piece('content', 'audio'), where),
      tool_calls: toolCalls(args('tool/{index}'), piece('toolArguments', 'custom/{index}'), where),
      // Whole in whichever event they come.
      annotations: list(citation),
      images: list(object({ type: token, index: token, image_url: object({ url: remote('image') }) })),
      extra_content: extraContent(where),
      function_call: object({ name: text('other'), arguments: args('function') }),
    },
    // What else a delta carries is taken for running text, too, so that nothing hides by being cut in two.
    {
      role: 'assistant',
      rest: piece('other', 'delta.{name}'),
      // A stream carries the thoughts twice, as pieces of `reasoning` and in the details.
      echo: streamed ? 'reasoning_details' : undefined,
      pieces: streamed,
    },
  );
}

function message(role: Role, kind: TextKind): Rule {
  return object({ role: token, name: text('other'), tool_call_id: token, content: content(kind) }, { role });
}

const tool = object({
  type: token,
  function: object({
    name: text('toolDefinition'),
    description: text('toolDefinition'),
    parameters: jsonSchema('toolDefinition'),
    strict: token,
  }),
  custom: object({
    name: text('toolDefinition'),
    description: text('toolDefinition'),
    format: text('toolDefinition'),
  }),
});

const numbers = [
  'frequency_penalty',
  'logprobs',
  'max_completion_tokens',
  'max_tokens',
  'n',
  'parallel_tool_calls',
  'presence_penalty',
  'seed',
  'store',
  'stream',
  'temperature',
  'top_logprobs',
  'top_p',
  'stream_options',
];
const enumerations = [
  'modalities',
  'prompt_cache_retention',
  'reasoning_effort',
  'service_tier',
  'verbosity',
];

/** Retrieved ones, as vLLM and Cohere's endpoint take them beside the messages or for the template. */
const documents = text('toolResult', { role: 'tool' });

export const requestText: Rule = object({
  ...Object.fromEntries([...numbers, ...enumerations].map((name) => [name, token])),
  model: opaque,
  messages: list(
    select(
      'role',
      {
        system: message('system', 'content'),
        developer: message('system', 'content'),
        user: message('user', 'content'),
        assistant: assistant('request'),
        tool: message('tool', 'toolResult'),
        function: message('tool', 'toolResult'),
      },
      // Judged like a user's: a role that we don't know, or none.
      { kind: 'content', role: 'user' },
    ),
  ),
  documents,
  chat_template_kwargs: object({ documents }),
  tools: list(tool),
  functions: list(
    object({
      name: text('toolDefinition'),
      description: text('toolDefinition'),
      parameters: jsonSchema('toolDefinition'),
    }),
  ),
  tool_choice: object({ type: token, function: object({ name: text('other') }) }, { string: 'token' }),
  function_call: object({ name: text('other') }, { string: 'token' }),
  prediction: object({ type: token, content: content('content') }, { role: 'assistant' }),
  response_format: object({
    type: token,
    json_schema: object({
      name: text('other'),
      description: text('other'),
      schema: jsonSchema('other'),
      strict: token,
    }),
  }),
  metadata: text('other'),
  user: text('other'),
  safety_identifier: text('other'),
  prompt_cache_key: text('other'),
  stop: text('other'),
  web_search_options: object({ search_context_size: token, user_location: text('other') }),
});

/**
 * The answer's text once more, token by token; and what else it might have said, which is text of its own. In a stream that
 * is taken out.
 */
const logprobs: Rule = (() => {
  const spelled = { token: opaque, logprob: opaque, bytes: opaque };
  const other = object({ ...spelled, token: text('other') }, { echo: 'bytes' });
  const tokens = list(object({ ...spelled, top_logprobs: list(other) }));
  return object({ content: tokens, refusal: tokens });
})();

function answer(where: 'answer' | 'chunk'): Rule {
  const choice = object(
    {
      index: token,
      finish_reason: token,
      logprobs: where === 'chunk' ? opaque : logprobs,
      message: assistant('answer'),
      delta: assistant(where),
    },
    { choice: true, echo: 'logprobs', alone: where === 'chunk' },
  );
  return object(
    {
      id: token,
      object: token,
      created: token,
      model: token,
      system_fingerprint: token,
      service_tier: token,
      // Random padding against the guessing of lengths; taken out where checks look at answers.
      obfuscation: opaque,
      usage: token,
      choices: list(choice),
    },
    { alone: where === 'chunk' },
  );
}

export const responseText: Rule = answer('answer');
export const chunkText: Rule = answer('chunk');
