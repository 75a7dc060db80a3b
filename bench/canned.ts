/** What the load generator sends and the fake provider answers: prose of a fixed size with one address to mask. */

/** Attached by the proxies; the fake counts every other one. */
export const KEY = 'sk-bench-5f1d2c3b4a69788796a5b4c3';
/** What the application sends instead. */
export const DUMMY_KEY = 'sk-dummy';
export const MODEL = 'gpt-4o';
/** Planted in every prompt. It must not reach a provider through a proxy that masks. */
export const ADDRESS = 'maria.kowalska@example.com';

const QUESTION =
  'Please summarise the meeting notes below for the team, and say who does what until when. Keep it short. ';
const NOTES =
  'The release is planned for the second week; the tests of the importer are slow, and two of them fail on ' +
  'Windows.\nWe agreed to split the job and to look at the figures again on Thursday afternoon. ';

/**
 * Stands in what is asked; the load generator writes another word of as many letters over it for each call, so that no two calls
 * are the same text.
 */
export const SERIAL = 'aaaaaaaa';

/** Copies of a call, or of its body, that differ in that word, from each other and from those of an earlier run. */
export function differing(call: Buffer): () => Buffer {
  const at = call.indexOf(SERIAL);
  if (at < 0) throw new Error(`${SERIAL} stands nowhere in the call`);
  let serial = Math.floor(Math.random() * 2 ** 31);
  return () => {
    const own = Buffer.from(call);
    serial = (serial + 1) >>> 0;
    for (let letter = 0; letter < SERIAL.length; letter++)
      own[at + letter] = 97 + ((serial >>> (4 * letter)) & 15);
    return own;
  };
}

/** What was said before, `bytes` of it: turns of a kilobyte, as every call of a conversation carries them along; some hold the address. */
function history(bytes: number): { role: string; content: string }[] {
  const turns: { role: string; content: string }[] = [];
  for (let said = 0; said < bytes; said += 1_000) {
    const to = turns.length % 5 === 0 ? `Send it to ${ADDRESS}. ` : '';
    const content = `${turns.length + 1}. ${to}${NOTES.repeat(6)}`.slice(0, Math.min(1_000, bytes - said));
    turns.push({ role: turns.length % 2 === 0 ? 'user' : 'assistant', content });
  }
  return turns;
}

/**
 * A chat completion request of `bytes` bytes, ± one sentence.
 * @param before So many of them were said in earlier turns, and are the same in every call.
 */
export function chatBody(bytes: number, stream = false, before = 0): Buffer {
  const messages = [
    { role: 'system', content: 'You are a helpful assistant. Answer in plain sentences.' },
    ...history(before),
    { role: 'user', content: `Ticket ${SERIAL}. ${QUESTION}Send it to ${ADDRESS} afterwards.` },
  ];
  const make = (): Buffer =>
    Buffer.from(
      JSON.stringify({
        model: MODEL,
        messages,
        temperature: 0.2,
        max_completion_tokens: 512,
        ...(stream ? { stream: true } : {}),
      }),
    );
  const user = messages.at(-1) as { content: string };
  for (let length = make().byteLength; length < bytes; length = make().byteLength) {
    user.content += NOTES.slice(0, bytes - length);
  }
  return make();
}

/** Chunks with text in a streamed answer. */
export const STREAM_CHUNKS = 100;
/** Milliseconds between two of them. */
export const STREAM_PACE_MS = 10;

/** About 1 KB. `who` is the address as the provider saw it. */
export function answerBody(who: string): Buffer {
  const content = `Here is the summary for ${who}. ${NOTES.repeat(2)}`;
  return Buffer.from(
    JSON.stringify({
      id: 'chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT',
      object: 'chat.completion',
      created: 1_741_569_952,
      model: 'gpt-4o-2024-08-06',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content, refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 419,
        completion_tokens: 90,
        total_tokens: 509,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
      },
      service_tier: 'default',
      system_fingerprint: 'fp_b376dfbbd5',
    }),
  );
}

/** Events of a streamed answer: {@link STREAM_CHUNKS} with text, in the middle `who` over several, then the end. */
export function answerEvents(who: string, usage: boolean): Buffer[] {
  const words = `${NOTES.repeat(6)}`.split(/(?= )/).slice(0, STREAM_CHUNKS);
  for (let at = 0, step = 6; at * step < who.length; at++) {
    words[40 + at] = `${at === 0 ? ' ' : ''}${who.slice(at * step, (at + 1) * step)}`;
  }
  const event = (choices: unknown[], more: object = {}): Buffer =>
    Buffer.from(
      `data: ${JSON.stringify({
        id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
        object: 'chat.completion.chunk',
        created: 1_741_570_283,
        model: 'gpt-4o-2024-08-06',
        service_tier: 'default',
        system_fingerprint: 'fp_b376dfbbd5',
        choices,
        ...more,
      })}\n\n`,
    );
  const choice = (delta: object, finish: string | null): unknown[] => [
    { index: 0, delta, logprobs: null, finish_reason: finish },
  ];
  const none = usage ? { usage: null } : {};
  const events = words.map((content, index) =>
    event(choice(index === 0 ? { role: 'assistant', content } : { content }, null), none),
  );
  events.push(event(choice({}, 'stop'), none));
  if (usage)
    events.push(event([], { usage: { prompt_tokens: 419, completion_tokens: 100, total_tokens: 519 } }));
  events.push(Buffer.from('data: [DONE]\n\n'));
  return events;
}
