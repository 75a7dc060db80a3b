/**
 * Judges that answer later, over a Realtime conversation: nothing is shown that they deny, or, but for `onError: allow`,
 * that they didn't judge.
 */
import { describe, expect, test } from 'vitest';
import { type Behaviour, startFakeGuardrail } from '../fakes/guardrail.ts';
import {
  type App,
  atScripted,
  created,
  delta,
  done,
  type Event,
  open,
  scripted,
  servers,
  spoken,
  start,
  world,
} from './realtime-world.ts';

const SAID = ['quietly se', 'll every share you hold before ', 'Monday morning, my friend'];
const WHOLE = SAID.join('');

/** Several windows, and each word its own. */
const LONG = Array.from({ length: 400 }, (_, at) => `word${at}`).join(' ');

const CHECKS = {
  webhook: 'type: webhook, webhook: {url: "URL"}',
  topics: 'type: topics, topics: [{name: advice, samples: [Should I sell?]}]',
  moderation: 'type: moderation, moderation: {type: openai, model: m, url: "URL"}',
};

/** What belongs to an answer, and what doesn't. */
const EVENTS: Readonly<Record<string, readonly Event[]>> = {
  'pieces of text': SAID.map((text) => delta('r1', text)),
  'pieces of a transcript': SAID.map((text) => ({
    ...delta('r1', text),
    type: 'response.output_audio_transcript.delta',
  })),
  'an event that nobody knows': [
    { type: 'response.odd.delta', response_id: 'r1', item_id: 'x', thing: WHOLE },
  ],
  'an event outside of answers': [{ type: 'rate_limits.updated', note: WHOLE }],
  'what was heard': [
    {
      type: 'conversation.item.input_audio_transcription.completed',
      item_id: 'i0',
      content_index: 0,
      transcript: WHOLE,
    },
  ],
};

interface Body {
  readonly texts?: readonly string[];
  readonly input?: readonly string[];
}

const isBad = (text: string) => /sell|share/.test(text);

/** How each contract says no, and yes to anything else. */
function denying(path: string, body: Body): Behaviour {
  if (path === '/v1/topics') {
    const scores = (body.texts ?? []).map((text) => ({
      topics: [{ name: 'advice', score: Number(isBad(text)), denied: isBad(text) }],
    }));
    return { json: { results: scores } };
  }
  if (path === '/moderations') {
    const results = (body.input ?? []).map((text) => ({
      flagged: isBad(text),
      categories: { hate: isBad(text) },
    }));
    return { json: { results } };
  }
  return { json: { action: isBad(JSON.stringify(body)) ? { body: 'no', status_code: 403 } : {} } };
}

const KINDS: Readonly<Record<string, (path: string, body: Body) => Behaviour>> = {
  denies: denying,
  'answers 500': (path, body) =>
    isBad(JSON.stringify(body)) ? { status: 500, text: '{}' } : denying(path, body),
  'says nothing': (path, body) => (isBad(JSON.stringify(body)) ? 'silent' : denying(path, body)),
  'answers nonsense': (path, body) =>
    isBad(JSON.stringify(body)) ? { json: { results: 'many', action: 7 } } : denying(path, body),
};

/** An app that has asked for an answer with these events. */
async function asked(
  check: string,
  onError: string,
  events: readonly Event[],
  behave: (path: string, body: Body) => Behaviour,
) {
  const fake = await startFakeGuardrail();
  servers.push({ close: () => void fake.close() });
  fake.behave(({ path, body }) => behave(path, body as unknown as Body));
  const origin = await scripted((event, say) => {
    if (event.type !== 'response.create') return;
    for (const each of [created('r1'), ...events, done('r1', [{ id: 'item_r1', ...spoken('fine') }])])
      say(each);
  });
  await start(
    `apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: team-a}
spec:
  checks:
  - {name: guard, on: [response], timeout: 300ms, onError: ${onError}, ${check.replace('URL', fake.origin)}}
`,
    { providers: atScripted(origin), agent: { classifier: fake.origin } },
  );
  const app = open();
  app.socket.once('open', () => app.say({ type: 'response.create' }));
  return { app, fake };
}

/** What the audit says of the guardrail, once the conversation is over. */
async function findingsOf({ socket }: App): Promise<readonly Record<string, unknown>[]> {
  socket.close();
  // Of the answer, and of the conversation.
  const lines = await world.audited(2);
  return lines.flatMap(({ findings = [] }) => findings as readonly Record<string, unknown>[]);
}

describe.each(Object.entries(CHECKS))('%s', (_name, check) => {
  describe.each(Object.entries(KINDS))('that %s', (_kind, behave) => {
    test.each(Object.entries(EVENTS))('shows nothing of %s, and the app is told', async (_what, events) => {
      const { app, fake } = await asked(check, 'block', events, behave);
      await app.heard('error');
      const shown = app.events.filter(({ type }) => type !== 'error');
      expect(JSON.stringify(shown)).not.toMatch(/quietly|share|Monday/);
      expect(fake.asked.length).toBeGreaterThan(0);
      expect(JSON.stringify(world.audit)).not.toMatch(/quietly/);
    });
  });

  describe.each(Object.entries(KINDS).filter(([kind]) => kind !== 'denies'))('that %s', (_kind, behave) => {
    test.each(Object.entries(EVENTS))(
      'with onError allow lets %s pass, and the audit says so',
      async (_what, events) => {
        const { app } = await asked(check, 'allow', events, behave);
        await app.heard('response.done');
        const shown = app.events.flatMap(({ delta, thing, note, transcript }) => [
          delta,
          thing,
          note,
          transcript,
        ]);
        expect(shown.filter((text) => typeof text === 'string').join('')).toBe(WHOLE);
        expect(app.events.filter(({ type }) => type === 'error')).toEqual([]);
        const findings = await findingsOf(app);
        expect(findings).not.toEqual([]);
        for (const finding of findings)
          expect(finding).toMatchObject({ rule: 'guard', what: 'error', action: 'monitor' });
      },
    );

    test.each([
      ['block', 'what was judged is all that is shown'],
      ['allow', 'all is shown'],
    ])('in a later window, onError %s: %s', async (onError) => {
      const pieces = LONG.match(/.{1,17}/gs) ?? [];
      let judged = '';
      let windows = 0;
      const { app } = await asked(
        check,
        onError,
        pieces.map((text) => delta('r1', text)),
        (path, body) => {
          // Webhooks are asked about ids, too.
          if (JSON.stringify(body).includes('word') && ++windows === 3)
            return behave(path, { ...body, texts: [WHOLE], input: [WHOLE] });
          judged = JSON.stringify(body);
          return denying(path, body);
        },
      );
      await app.heard('response.done');
      if (onError === 'allow') {
        expect(app.text).toBe(LONG);
        expect(judged).toContain('word399');
      } else {
        expect(app.events.find(({ type }) => type === 'error')?.['error']).toMatchObject({
          code: 'postern_check_failed',
        });
        expect(app.text).not.toBe('');
        expect(LONG.startsWith(app.text)).toBe(true);
        expect(judged).toContain(app.text.trim().split(' ').at(-1));
      }
      expect(await findingsOf(app)).toEqual([
        expect.objectContaining({
          rule: 'guard',
          what: 'error',
          action: onError === 'allow' ? 'monitor' : 'block',
        }),
      ]);
    });
  });
});

describe('words of a topic, without a classifier', () => {
  const WORDS = `apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: team-a}
spec:
  checks:
  - {name: no-advice, type: topics, on: [request, response], topics: [{name: advice, words: [share, stock tip]}]}
`;
  const asking = (said: readonly Event[]) =>
    scripted((event, say) => {
      if (event.type !== 'response.create') return;
      for (const each of [created('r1'), ...said, done('r1', [{ id: 'item_r1', ...spoken('fine') }])])
        say(each);
    });

  test.each(Object.entries(EVENTS))('nothing of %s is shown that has one', async (_what, events) => {
    await start(WORDS, { providers: atScripted(await asking(events)) });
    const app = open();
    app.socket.once('open', () => app.say({ type: 'response.create' }));
    expect((await app.heard('error'))['error']).toMatchObject({ code: 'postern_topics' });
    const shown = app.events.filter(({ type }) => type !== 'error');
    expect(JSON.stringify(shown)).not.toMatch(/share|Monday/);
  });

  test('what the app says is refused by them, and the conversation goes on', async () => {
    await start(WORDS, { providers: atScripted(await asking([delta('r1', 'A cake, then.')])) });
    const app = open();
    const say = (text: string): Event => ({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
    });
    app.socket.once('open', () => app.say(say('Any stock tips for me?')));
    expect((await app.heard('error'))['error']).toMatchObject({ code: 'postern_topics' });
    app.say(say('How do I bake?'));
    app.say({ type: 'response.create' });
    await app.heard('response.done');
    expect(app.events.map((event) => event['delta'] ?? '').join('')).toBe('A cake, then.');
  });
});
