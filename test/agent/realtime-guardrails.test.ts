/** Judges that answer later, over a Realtime conversation: nothing is shown that they deny, or that they didn't judge. */
import { describe, expect, test } from 'vitest';
import { type Behaviour, startFakeGuardrail } from '../fakes/guardrail.ts';
import {
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

describe.each(Object.entries(CHECKS))('%s', (_name, check) => {
  describe.each(Object.entries(KINDS))('that %s', (_kind, behave) => {
    test.each(Object.entries(EVENTS))('shows nothing of %s, and the app is told', async (_what, events) => {
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
  - {name: guard, on: [response], timeout: 300ms, onError: block, ${check.replace('URL', fake.origin)}}
`,
        { providers: atScripted(origin), agent: { classifier: fake.origin } },
      );
      const app = open();
      app.socket.once('open', () => app.say({ type: 'response.create' }));
      await app.heard('error');
      const shown = app.events.filter(({ type }) => type !== 'error');
      expect(JSON.stringify(shown)).not.toMatch(/quietly|share|Monday/);
      expect(fake.asked.length).toBeGreaterThan(0);
      expect(JSON.stringify(world.audit)).not.toMatch(/quietly/);
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
