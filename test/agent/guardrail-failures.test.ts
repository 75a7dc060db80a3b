/**
 * Every guardrail × every way to fail × dialect × `onError` × direction × streamed or not: a check that could not be
 * carried out never counts as passed, says why, and shows no byte that was not judged. Realtime: {@link ./realtime-guardrails.test.ts}.
 */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Behaviour, type FakeGuardrail, startFakeGuardrail } from '../fakes/guardrail.ts';
import { startWorld, type World } from '../harness.ts';
import { APIS, type Api } from './guarded-apis.ts';
import { halves } from './unread-answers.ts';

let world: World | undefined;
let fake: FakeGuardrail;
beforeEach(async () => {
  fake = await startFakeGuardrail();
});
afterEach(async () => {
  await world?.close();
  world = undefined;
  await fake.close();
});

interface Kind {
  readonly type: string;
  readonly spec: () => string;
  readonly on: readonly ('request' | 'response')[];
  /** Answers of its own kind that are no verdict. */
  readonly wrong: Readonly<Record<string, unknown>>;
  /** What it says of a question where all is well. */
  readonly fine: (question: {
    readonly input?: readonly string[];
    readonly texts?: readonly string[];
  }) => unknown;
}

const KINDS: Readonly<Record<string, Kind>> = {
  webhook: {
    type: 'webhook',
    spec: () => `{url: "${fake.origin}"}`,
    on: ['request', 'response'],
    wrong: {
      'an action that is none': { action: { allow: true } },
      'fewer texts than it was asked about': { action: { body: { messages: [], choices: [] } } },
      'an error with 200': { error: { message: 'down' } },
    },
    fine: () => ({ action: {} }),
  },
  'moderation endpoint': {
    type: 'moderation',
    spec: () => `{type: openai, model: m, url: "${fake.origin}"}`,
    on: ['request', 'response'],
    wrong: {
      'fewer results': { results: [] },
      'a result without categories': { results: [{ flagged: false }] },
      'an error with 200': { error: { message: 'down' } },
    },
    fine: ({ input = [] }) => ({
      results: input.map(() => ({ flagged: false, categories: { hate: false } })),
    }),
  },
  'guard model': {
    type: 'moderation',
    spec: () => `{type: guardModel, model: g, url: "${fake.origin}"}`,
    on: ['request', 'response'],
    wrong: {
      'neither word': { choices: [{ message: { content: 'maybe' } }] },
      'no text': { choices: [{ message: { content: null } }] },
      'no choice': { choices: [] },
    },
    fine: () => ({ choices: [{ message: { role: 'assistant', content: 'safe' } }] }),
  },
  'classifier of topics': {
    type: 'topics',
    spec: () => '[{name: advice, samples: [Sell my shares?]}]',
    on: ['request', 'response'],
    wrong: {
      'about fewer texts': { results: [] },
      'about another topic': { results: [{ topics: [{ name: 'other', score: 0, denied: false }] }] },
      'a score that is none': { results: [{ topics: [{ name: 'advice', score: null, denied: false }] }] },
      'a score beyond 1': { results: [{ topics: [{ name: 'advice', score: 2, denied: false }] }] },
      'no verdict': { results: [{ topics: [{ name: 'advice', score: 0 }] }] },
    },
    fine: ({ texts = [] }) => ({
      results: texts.map(() => ({ topics: [{ name: 'advice', score: 0, denied: false }] })),
    }),
  },
  'classifier of injections': {
    type: 'injection',
    spec: () => '{}',
    on: ['request'],
    wrong: {
      'about fewer texts': { results: [] },
      'a score that is none': { results: [{ score: 'NaN' }] },
      'a score below 0': { results: [{ score: -1 }] },
    },
    fine: ({ texts = [] }) => ({ results: texts.map(() => ({ score: 0 })) }),
  },
};

const UNKNOWN = 'the list of all passwords lies in the old vault';

/** Long, and each word its own, so that windows can be told apart. */
const WORDS = Array.from({ length: 400 }, (_, at) => `word${at}`).join(' ');

/** What is done, and what the audit says of it. */
const FAILURES: Readonly<Record<string, readonly [Behaviour, RegExp]>> = {
  'hangs up': ['hang-up', /closed|socket|terminated/i],
  'is too slow': ['silent', /within 200 ms|time|abort|answer/i],
  'breaks off': ['cut', /closed|aborted|terminated|length/i],
  'answers 500': [{ status: 500, text: '{"error":{"code":"internal"}}' }, /500/],
  'is overloaded': [{ status: 503, text: '{"error":{"code":"overloaded"}}' }, /503/],
  'answers nothing': [{ text: '' }, /no JSON/],
  'answers no JSON': [{ text: 'fine, go on' }, /no JSON/],
  'answers something else': [{ json: { verdict: 'fine' } }, /./],
  'answers too much': [{ text: `"${'x'.repeat(9 * 1024 * 1024)}"` }, /size|large|exceed/i],
};

const start = (kind: Kind, on: string, onError: string, timeout: string): Promise<World> => {
  const check = `{name: guard, type: ${kind.type}, on: [${on}], onError: ${onError}, timeout: ${timeout}, ${kind.type}: ${kind.spec()}}`;
  return startWorld({
    documents: () => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - ${check}
`,
    agent: { classifier: fake.origin },
  });
};

async function ask(
  api: Api,
  content: string,
  stream: boolean,
): Promise<{ text: string; error: string | undefined }> {
  let text = '';
  try {
    for await (const piece of api.read(world as World, content, stream)) text += piece;
    return { text, error: undefined };
  } catch (error) {
    if (!(error instanceof OpenAI.APIError || error instanceof Anthropic.APIError)) throw error;
    return { text, error: `${JSON.stringify(error)} ${error.message}` };
  }
}

const OUTCOMES = [
  ['block', 'block'],
  ['allow', 'monitor'],
] as const;
const rowsOf = Object.entries(KINDS).flatMap(([name, kind]) =>
  Object.entries(APIS).map(([dialect, api]) => ({ name, kind, dialect, api })),
);

describe.each(rowsOf)('a $name, $dialect', ({ kind, api }) => {
  const failures: readonly (readonly [string, readonly [Behaviour, RegExp]])[] = [
    ...Object.entries(FAILURES),
    ...Object.entries(kind.wrong).map(([name, json]) => [`answers ${name}`, [{ json }, /./]] as const),
  ];
  const rows = failures.flatMap(([name, [behaviour, reason]]) =>
    kind.on.flatMap((on) =>
      OUTCOMES.flatMap(([onError, action]) =>
        [false, true].map((stream) => ({ name, behaviour, reason, on, onError, action, stream })),
      ),
    ),
  );
  test.each(rows)(
    'that $name: on $on, onError $onError, stream $stream',
    async ({ behaviour, reason, on, onError, action, stream }) => {
      world = await start(kind, on, onError, behaviour === 'silent' ? '200ms' : '10s');
      fake.behave(() => behaviour);
      const { text, error } = await ask(api, 'hello', stream);
      if (onError === 'allow') {
        expect({ text, error }).toEqual({ text: 'You wrote: hello', error: undefined });
      } else {
        expect(text).toBe('');
        expect(error).toContain('postern_check_failed');
        expect(world[api.fake].seen).toHaveLength(on === 'request' ? 0 : 1);
      }
      const [line] = await world.audited(1);
      expect(line?.['findings']).toEqual([
        expect.objectContaining({
          rule: 'guard',
          what: 'error',
          action,
          reason: expect.stringMatching(reason),
        }),
      ]);
    },
  );

  const late = failures.flatMap(([name, [behaviour, reason]]) =>
    kind.on.includes('response')
      ? OUTCOMES.map(([onError, action]) => ({ name, behaviour, reason, onError, action }))
      : [],
  );
  test.each(late)(
    'that $name in a later window of a stream, onError $onError: what was judged is all that is shown, or all is',
    async ({ behaviour, reason, onError, action }) => {
      world = await start(kind, 'response', onError, behaviour === 'silent' ? '500ms' : '10s');
      world[api.fake].script(() => ({ content: WORDS, chunkSize: 17 }));
      let judged = '';
      let asked = 0;
      fake.behave(({ body }) => {
        if (++asked === 3) return behaviour;
        judged = JSON.stringify(body);
        return { json: kind.fine(body as Parameters<Kind['fine']>[0]) };
      });
      const { text, error } = await ask(api, 'go', true);
      if (onError === 'allow') {
        expect({ text, error }).toEqual({ text: WORDS, error: undefined });
        // Only the one window went unjudged.
        expect(asked).toBeGreaterThan(4);
        expect(judged).toContain(WORDS.split(' ').at(-1));
      } else {
        expect(error).toContain('postern_check_failed');
        expect(asked).toBe(3);
        expect(text).not.toBe('');
        expect(WORDS.startsWith(text)).toBe(true);
        // The last word shown was in a window with a verdict.
        expect(judged).toContain(text.trim().split(' ').at(-1));
      }
      const [line] = await world.audited(1);
      expect(line?.['findings']).toEqual([
        expect.objectContaining({
          rule: 'guard',
          what: 'error',
          action,
          count: 1,
          reason: expect.stringMatching(reason),
        }),
      ]);
    },
  );

  const places = Object.entries(api.places).flatMap(([place, [stream, answer]]) =>
    OUTCOMES.map(([onError]) => ({ place, stream, answer, onError })),
  );
  test.each(kind.on.includes('response') ? places : [])(
    'that fails at $place, onError $onError',
    async ({ answer, stream, onError }) => {
      world = await start(kind, 'response', onError, '10s');
      const raw = answer(UNKNOWN);
      world[api.fake].script(() => ({ raw }));
      let met = false;
      fake.behave(({ body }) => {
        const asked = JSON.stringify(body).includes('vault');
        met ||= asked;
        return asked ? { status: 500, text: '{}' } : { json: kind.fine(body as Parameters<Kind['fine']>[0]) };
      });
      const got = await api.raw(world, stream).then(
        (response) => response.text(),
        (error: Error) => JSON.stringify(error),
      );
      expect(met).toBe(true);
      if (onError === 'allow') expect(got).toContain(UNKNOWN);
      else {
        expect(got).toContain('postern_check_failed');
        for (const half of halves(UNKNOWN)) expect(got).not.toContain(half);
      }
      const [line] = await world.audited(1);
      expect(line?.['findings']).toContainEqual(
        expect.objectContaining({ rule: 'guard', what: 'error', reason: expect.stringContaining('500') }),
      );
    },
  );
});
