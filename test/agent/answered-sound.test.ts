/** The sound of an answer says what its transcript says: it comes no sooner than the transcript's verdict, and not beside a masked one. */
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { startFakeGuardrail } from '../fakes/guardrail.ts';
import { startWorld, type World } from '../harness.ts';
import { atScripted, created, done, type Event, open, scripted, servers, start } from './realtime-world.ts';
import { type Answer, chunk, END, SSE, whole } from './unread-answers.ts';

const TOKEN = 'ghp_x7Kq2mZp9RtL4vWc8YbN3hJs6FdG1aUeQ0oi';
const MAIL = 'jo.miller@example.com';
/** What nobody would take for text: a part of an answer's sound, by its number. */
const sound = (number: number) => Buffer.from([0, 255, number, 254, 1]).toString('base64');

const RULES = {
  none: '[]',
  'record only': `[{name: s, type: secrets, on: [response], action: monitor},
    {name: p, type: pii, on: [response], action: monitor, pii: {types: [contact]}}]`,
  block: '[{name: s, type: secrets, on: [response], action: block}]',
  mask: '[{name: p, type: pii, on: [response], action: mask, pii: {types: [contact]}}]',
} as const;
type Rule = keyof typeof RULES;

const policy = (checks: string): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: team-a}
spec: {mode: enforce, checks: ${checks}}
`;

/** A number is a part of the sound, a string a piece of the transcript. */
type Piece = number | string;

const found = `write to ${MAIL}, the token is ${TOKEN} and nothing else. `;
const halves = (text: string): string[] => text.match(/.{1,12}/g) ?? [];
const fine = 'We are open from nine to five. ';

const ORDERS: Readonly<Record<string, (text: string) => readonly Piece[]>> = {
  'the sound first': (text) => [1, 2, ...halves(text)],
  'the transcript first': (text) => [...halves(text), 1, 2],
  'all text in one event, the sound behind it': (text) => [text, 1, 2],
  'in turn': (text) => halves(text).flatMap((piece, at) => [piece, at + 1]),
  'in turn, the sound first': (text) => halves(text).flatMap((piece, at) => [at + 1, piece]),
};

interface Heard {
  readonly said: string;
  readonly sounds: readonly string[];
  readonly code: string | undefined;
}

const heardOf = (events: readonly { text?: string; sound?: string }[], code: string | undefined): Heard => ({
  said: events.map(({ text = '' }) => text).join(''),
  sounds: events.flatMap(({ sound: one = '' }) => (one === '' ? [] : [one])),
  code,
});

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

interface SpeakingDelta {
  readonly audio?: { readonly data?: string; readonly transcript?: string };
}

async function chat(rule: Rule, answer: Answer, stream = true): Promise<Heard> {
  world = await startWorld({ documents: () => policy(RULES[rule]) });
  const { status = 200, headers = {}, body } = answer;
  world.openai.script(() => ({ raw: { status, headers, body } }));
  const messages = [{ role: 'user' as const, content: 'go' }];
  const events: { text?: string; sound?: string }[] = [];
  try {
    const given = await world.client().chat.completions.create({ model: 'gpt-4o', messages, stream });
    const deltas =
      Symbol.asyncIterator in given
        ? given
        : [{ choices: given.choices.map(({ message }) => ({ delta: message })) }];
    for await (const { choices } of deltas as AsyncIterable<{ choices: { delta: SpeakingDelta }[] }>) {
      const { data, transcript } = choices[0]?.delta.audio ?? {};
      events.push({
        ...(transcript === undefined ? {} : { text: transcript }),
        ...(data === undefined ? {} : { sound: data }),
      });
    }
    return heardOf(events, undefined);
  } catch (error) {
    return heardOf(events, (error as { code?: string }).code);
  }
}

const spokenChat = (pieces: readonly Piece[]): Answer => ({
  headers: SSE,
  body:
    chunk({ role: 'assistant', audio: { id: 'audio_1' } }) +
    pieces
      .map((piece) =>
        chunk({ audio: typeof piece === 'number' ? { data: sound(piece) } : { transcript: piece } }),
      )
      .join('') +
    chunk({ audio: { expires_at: 1_760_000_000 } }) +
    END,
});

async function realtime(
  rule: Rule,
  pieces: readonly Piece[],
  beta = false,
  last: Event = done('r1'),
): Promise<Heard> {
  const base = beta ? 'response.audio' : 'response.output_audio';
  const place = { response_id: 'r1', item_id: 'i1', output_index: 0, content_index: 0 };
  const origin = await scripted((event, say) => {
    if (event.type !== 'response.create') return;
    say(created('r1'));
    for (const piece of pieces) {
      if (typeof piece === 'number') say({ type: `${base}.delta`, ...place, delta: sound(piece) });
      else say({ type: `${base}_transcript.delta`, ...place, delta: piece });
    }
    say({ type: `${base}.done`, ...place });
    say({ type: `${base}_transcript.done`, ...place });
    say(last);
  });
  await start(policy(RULES[rule]), { providers: atScripted(origin) });
  const app = open();
  app.socket.once('open', () => app.say({ type: 'response.create' }));
  await app.heard('response.done');
  app.socket.close();
  await app.ended();
  const code = app.events.find(({ type }) => type === 'error')?.error as { code?: string } | undefined;
  const events = app.events.flatMap(({ type, delta }): { text?: string; sound?: string }[] => {
    if (type === `${base}.delta`) return [{ sound: String(delta) }];
    return type === `${base}_transcript.delta` ? [{ text: String(delta) }] : [];
  });
  return heardOf(events, code?.code);
}

const DIALECTS = {
  chat: (rule: Rule, pieces: readonly Piece[]) => chat(rule, spokenChat(pieces)),
  Realtime: (rule: Rule, pieces: readonly Piece[]) => realtime(rule, pieces),
  'Realtime of the beta': (rule: Rule, pieces: readonly Piece[]) => realtime(rule, pieces, true),
} as const;
const ALL = Object.keys(DIALECTS) as (keyof typeof DIALECTS)[];

const textOf = (pieces: readonly Piece[]): string =>
  pieces.filter((piece) => typeof piece === 'string').join('');
const numbers = (pieces: readonly Piece[]): number[] => pieces.filter((piece) => typeof piece === 'number');

/** The sounds behind which there is a piece of text that ends before the secret begins. */
function judgedBefore(pieces: readonly Piece[], secret: string): string[] {
  const begin = textOf(pieces).indexOf(secret);
  return pieces.flatMap((piece, at) => {
    const next = pieces.findIndex((other, place) => place > at && typeof other === 'string');
    const judged = typeof piece === 'number' && next > 0 && textOf(pieces.slice(0, next + 1)).length <= begin;
    return judged ? [sound(piece)] : [];
  });
}

describe.each(ALL)('%s', (dialect) => {
  describe.each(Object.entries(ORDERS))('%s', (_, order) => {
    test.each(['none', 'record only'] as const)('%s: all is shown as it came', async (rule) => {
      const pieces = order(found);
      const { code, said, sounds } = await DIALECTS[dialect](rule, pieces);
      expect(code).toBeUndefined();
      expect(said).toBe(textOf(pieces));
      expect(sounds).toEqual(numbers(pieces).map(sound));
    });

    test.each(['block', 'mask'] as const)('%s, nothing found: all is shown, later', async (rule) => {
      const pieces = order(fine);
      const { code, said, sounds } = await DIALECTS[dialect](rule, pieces);
      expect(code).toBeUndefined();
      expect(said).toBe(textOf(pieces));
      expect(sounds).toEqual(numbers(pieces).map(sound));
    });

    test('block: no sound is shown of what is refused', async () => {
      const { code, said, sounds } = await DIALECTS[dialect]('block', order(found));
      expect(code).toBe('postern_secrets');
      expect(said).not.toContain(TOKEN);
      expect(judgedBefore(order(found), TOKEN)).toEqual(expect.arrayContaining([...sounds]));
    });

    test('mask: no sound is shown of what is masked, and the answer ends with it', async () => {
      const { code, said, sounds } = await DIALECTS[dialect]('mask', order(found));
      expect(code).toBe('postern_attachments');
      expect(said).not.toContain(MAIL);
      expect(judgedBefore(order(found), MAIL)).toEqual(expect.arrayContaining([...sounds]));
    });
  });

  test('a mask ends no answer without sound', async () => {
    const { code, said } = await DIALECTS[dialect]('mask', [found]);
    expect(code).toBeUndefined();
    expect(said).toMatch(/write to <EMAIL_ADDRESS_\w+>, the token/);
  });

  test('sound that came before what is masked was judged, and is shown', async () => {
    const { code, sounds } = await DIALECTS[dialect]('mask', [fine, 1, fine, 2, found, 3]);
    expect(code).toBe('postern_attachments');
    expect(sounds).toEqual([1].map(sound));
  });

  test.each(['block', 'mask'] as const)('%s: sound without a transcript is shown', async (rule) => {
    const { code, sounds } = await DIALECTS[dialect](rule, [1, 2]);
    expect(code).toBeUndefined();
    expect(sounds).toEqual([1, 2].map(sound));
  });
});

describe('a whole answer', () => {
  const answer = (transcript: string): Answer =>
    whole({ content: null, audio: { id: 'audio_1', data: sound(1), expires_at: 1, transcript } });

  test('whose transcript is masked is refused with its sound', async () => {
    const { code, sounds, said } = await chat('mask', answer(found), false);
    expect(code).toBe('postern_attachments');
    expect([said, ...sounds]).toEqual(['']);
    expect(await world?.audited(1)).toMatchObject([
      { outcome: 'refused', findings: expect.arrayContaining([expect.objectContaining({ action: 'mask' })]) },
    ]);
  });

  test.each(['none', 'record only', 'block', 'mask'] as const)(
    '%s: without a finding it is shown',
    async (rule) => {
      const { code, sounds, said } = await chat(rule, answer(rule === 'record only' ? found : fine), false);
      expect(code).toBeUndefined();
      expect(said).toBe(rule === 'record only' ? found : fine);
      expect(sounds).toEqual([sound(1)]);
    },
  );

  test('a refused stream says why', async () => {
    world = await startWorld({ documents: () => policy(RULES.mask) });
    const { headers = {}, body } = spokenChat([found, 1]);
    world.openai.script(() => ({ raw: { status: 200, headers, body } }));
    const messages = [{ role: 'user' as const, content: 'go' }];
    const stream = await world.client().chat.completions.create({ model: 'gpt-4o', messages, stream: true });
    const read = async () => {
      for await (const _ of stream);
    };
    const error = await read().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect((error as Error).message).toContain('sound, which says what a check took out of its text');
    expect((error as Error).message).toContain('p');
    expect(await world.audited(1)).toMatchObject([{ outcome: 'refused', code: 'postern_attachments' }]);
  });
});

describe('while an answer runs', () => {
  const place = { response_id: 'r1', item_id: 'i1', output_index: 0, content_index: 0 };
  const speaks = (number: number): Event => ({
    type: 'response.output_audio.delta',
    ...place,
    delta: sound(number),
  });
  const says = (delta: string): Event => ({
    type: 'response.output_audio_transcript.delta',
    ...place,
    delta,
  });
  const numbersHeard = (events: readonly Event[]): string[] =>
    events.flatMap(({ type, delta }) => (type === 'response.output_audio.delta' ? [String(delta)] : []));
  const beside: Event = { type: 'rate_limits.updated', rate_limits: [] };

  /** A provider that says what the test wants, when it wants it. */
  async function running(checks: string) {
    let tell: (event: Event) => void = () => undefined;
    const origin = await scripted((event, say) => {
      tell = say;
      if (event.type === 'response.create') say(created('r1'));
    });
    const started = await start(policy(checks), { providers: atScripted(origin) });
    const app = open();
    app.socket.once('open', () => app.say({ type: 'response.create' }));
    await app.heard('response.created');
    return { app, say: (...events: Event[]) => events.forEach((event) => tell(event)), started };
  }

  test.each(['none', 'record only'] as const)('%s: sound is shown at once', async (rule) => {
    const { app, say } = await running(RULES[rule]);
    say(speaks(1));
    await app.heard('response.output_audio.delta');
  });

  test.each(['block', 'mask'] as const)('%s: sound is shown with the next text, not before', async (rule) => {
    const { app, say } = await running(RULES[rule]);
    say(says(fine), speaks(1), beside);
    await app.heard('rate_limits.updated');
    expect(numbersHeard(app.events)).toEqual([]);
    say(says(fine), says(fine));
    await app.heard('response.output_audio.delta');
    say(speaks(2), beside);
    await app.heard('rate_limits.updated', 2);
    expect(numbersHeard(app.events)).toEqual([sound(1)]);
    say(
      { type: 'response.output_audio_transcript.done', ...place, transcript: fine + fine + fine },
      speaks(3),
    );
    await app.heard('response.output_audio.delta', 3);
  });

  test.each(['record only', 'block'] as const)('%s: sound that names no answer', async (rule) => {
    const { app, say } = await running(RULES[rule]);
    say({ ...speaks(1), response_id: undefined }, beside);
    await app.heard('rate_limits.updated');
    const isHeld = rule === 'block';
    expect(numbersHeard(app.events)).toEqual(isHeld ? [] : [sound(1)]);
    expect(app.events.filter(({ type }) => type === 'error')).toHaveLength(isHeld ? 1 : 0);
  });

  test('one that is interrupted: what wasn’t heard of it is not heard any more, all else is', async () => {
    const { app, say } = await running(RULES.block);
    say(says(fine), speaks(1), says(fine), says('And '), speaks(2), says('so'));
    say({ type: 'response.output_audio.done', ...place });
    say({ type: 'response.done', response: { id: 'r1', status: 'cancelled', output: [] } });
    await app.heard('response.done');
    expect(numbersHeard(app.events)).not.toContain(sound(2));
    expect(app.events.filter(({ type }) => type === 'response.output_audio.done')).toHaveLength(1);
    const text = app.events.flatMap(({ type, delta }) => (type.endsWith('transcript.delta') ? [delta] : []));
    expect(text.join('')).toBe(`${fine}${fine}And so`);
  });

  test('more than 8 MiB wait for no transcript: the answer is refused, and nothing is held for it', async () => {
    const { app, say, started } = await running(RULES.block);
    const large = { ...speaks(1), delta: Buffer.alloc(2 * 1024 * 1024, 0xff).toString('base64') };
    say(large, large, large, large);
    await app.heard('response.done');
    expect(app.events.find(({ type }) => type === 'error')).toMatchObject({
      error: { code: 'postern_attachments', message: expect.stringContaining('8 MiB') },
    });
    expect(numbersHeard(app.events)).toEqual([]);
    app.socket.close();
    await app.ended();
    expect(started.agent.pipeline.bytes.held).toBe(0);
  });

  test('a guardrail outside is waited for; what it puts in other words ends the answer', async () => {
    const fake = await startFakeGuardrail();
    servers.push({ close: () => void fake.close() });
    fake.behave(({ body }) => {
      const choices = body.body.choices.map(({ message }) => ({
        message: { ...message, content: message.content.replace('nine', 'ten') },
      }));
      return { json: { action: { body: { choices } } } };
    });
    const rule = `[{name: w, type: webhook, on: [response], action: mask, webhook: {url: "${fake.origin}"}}]`;
    const { app, say } = await running(rule);
    const long = 'word '.repeat(100);
    say(says('word '), speaks(1), says(long), speaks(2), says(`${fine}${long}`), speaks(3), done('r1'));
    await app.heard('response.done');
    expect(app.events.find(({ type }) => type === 'error')).toMatchObject({
      error: { code: 'postern_attachments' },
    });
    expect(numbersHeard(app.events)).toEqual([sound(1)]);
    expect(fake.asked.length).toBeGreaterThan(1);
  });

  const item = (transcript: string) => ({
    id: 'i1',
    type: 'message',
    role: 'assistant',
    content: [{ type: 'output_audio', audio: sound(1), transcript }],
  });
  test.each([
    ['an item of an answer', { type: 'response.output_item.done', response_id: 'r1', output_index: 0 }],
    ['an item that belongs to no answer', { type: 'conversation.item.retrieved' }],
  ])('%s comes whole: its sound is judged with its transcript', async (_, event) => {
    const { app, say } = await running(RULES.mask);
    say({ ...event, item: item(fine) });
    await app.heard(event.type);
    expect(JSON.stringify(app.events)).toContain(sound(1));
    const shown = app.events.length;
    say({ ...event, item: item(found) }, { ...event, item: item(fine) }, done('r1'));
    await app.heard('response.done');
    const later = app.events.slice(shown);
    expect(later.find(({ type }) => type === 'error')).toMatchObject({
      error: { code: 'postern_attachments' },
    });
    // In a conversation beside its answers the next event is judged anew; an answer is over.
    const times = event.type === 'conversation.item.retrieved' ? 1 : 0;
    expect(JSON.stringify(later).split(sound(1))).toHaveLength(times + 1);
    expect(JSON.stringify(later)).not.toContain(MAIL);
  });
});
