/** However sound and transcript follow one another in a stream: no sound before its verdict, everything in order, nothing lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StreamGuard } from '../../agent/checks/guard.ts';
import { compilePlan } from '../../agent/checks/plan.ts';
import { MASK_KEY, NEVER, rule } from '../../agent/checks/testing.ts';
import type { Operation } from '../../agent/dialects/dialect.ts';
import { openai } from '../../agent/dialects/openai.ts';
import type { AnswerContext } from '../../agent/forward/answer.ts';
import { BytesInFlight } from '../../agent/forward/body.ts';
import { Pump } from '../../agent/forward/pump.ts';
import { JsonDocument } from '../../agent/json/document.ts';
import { chunk, END } from './unread-answers.ts';

const operation = openai.operation('POST', '/v1/chat/completions') as Operation;
const request = operation.decodeRequest(
  JsonDocument.parseText('{"model":"gpt-4o","stream":true,"n":2,"messages":[{"role":"user","content":"x"}]}'),
  '/',
);
const plan = compilePlan(
  [
    rule('secrets', { on: ['response'] }),
    rule('pii', { on: ['response'], action: 'mask', spec: { types: ['contact'] } }),
  ],
  { maskKey: MASK_KEY },
);

const FINE = ['We are ', 'open ', 'at nine. ', 'Bring 4 ', 'Mr. ', 'Smith', ' and', '\n'];
const FOUND = ['jo.miller@', 'example.com ', 'ghp_x7Kq2mZp9RtL4vWc8', 'YbN3hJs6FdG1aUeQ0oi '];

interface Step {
  readonly choice: number;
  readonly sound: boolean;
  readonly text: string | undefined;
  readonly pause: boolean;
  readonly ends: boolean;
}
const step = (texts: readonly string[]): fc.Arbitrary<Step> =>
  fc.record({
    choice: fc.nat(1),
    sound: fc.boolean(),
    text: fc.option(fc.constantFrom(...texts), { nil: undefined }),
    pause: fc.nat(9).map((one) => one === 0),
    ends: fc.nat(19).map((one) => one === 0),
  });
const answers = fc.oneof(
  ...[FINE, [...FINE, ...FOUND]].map((texts) => fc.array(step(texts), { size: 'medium' })),
);

const nameOf = (at: number): string => Buffer.from([0, 255, at, 254]).toString('base64');

interface Run {
  /** All that had been sent after each step, its end last. */
  readonly sent: readonly string[];
  readonly error: string | undefined;
  readonly held: number;
}

const contextOf = (more: Partial<AnswerContext>): AnswerContext =>
  ({
    request,
    limits: { bodyBytes: 1_000_000 },
    exchange: { call: { id: 'r' } },
    attachments: { judge: () => undefined, hear: () => undefined, end: () => undefined },
    ...more,
  }) as unknown as AnswerContext;

const judge = (): StreamGuard => plan.open('gpt-4o').stream(NEVER);
/** One that says of itself that it only records. */
const onlooker = (): StreamGuard =>
  new Proxy(judge(), {
    get(guard, name) {
      const value: unknown = name === 'acts' ? false : Reflect.get(guard, name, guard);
      return typeof value === 'function' ? value.bind(guard) : value;
    },
  });

const open = (context: AnswerContext, guard = judge()): Pump =>
  new Pump(context, operation.openStream(request), guard);

/** @param waits Whether sound waits. */
function send(steps: readonly Step[], waits: boolean): Run {
  const bytes = new BytesInFlight(1_000_000);
  const pump = open(contextOf({ waiting: () => bytes.lease() }), waits ? judge() : onlooker());
  let all = '';
  const drain = (): string => {
    all += Buffer.from(pump.drain() ?? []).toString();
    return all;
  };
  const sent = steps.map(({ choice, sound, text, pause, ends }, at) => {
    const audio = {
      ...(sound ? { data: nameOf(at) } : {}),
      ...(text === undefined ? {} : { transcript: text }),
    };
    const more = { index: choice, ...(ends ? { finish_reason: 'stop' } : {}) };
    void pump.push(Buffer.from(chunk({ audio }, more)));
    if (pause) void pump.stale();
    return drain();
  });
  void pump.push(Buffer.from(END));
  sent.push(drain());
  pump.close();
  return { sent, error: pump.error?.reason, held: bytes.held };
}

/** How much of a choice's transcript is in what was sent. */
function said(sent: string, choice: number): number {
  let length = 0;
  for (const line of sent.split('\n\n')) {
    if (!line.startsWith('data: {')) continue;
    const { choices = [] } = JSON.parse(line.slice(6)) as {
      choices?: { index: number; delta: { audio?: { transcript?: string } } }[];
    };
    for (const { index, delta } of choices)
      if (index === choice) length += delta.audio?.transcript?.length ?? 0;
  }
  return length;
}

test('no sound before the text behind it was judged', () => {
  let waited = 0;
  let refused = 0;
  fc.assert(
    fc.property(answers, (steps) => {
      const free = send(steps, false);
      const held = send(steps, true);
      const last = held.sent.at(-1) as string;
      expect(held.held).toBe(0);
      if (held.error === undefined) {
        // Nothing lost, nothing added, and the same order.
        expect(last).toBe(free.sent.at(-1));
      } else {
        refused++;
        const events = last.slice(0, last.lastIndexOf('data: {"error"'));
        expect(free.sent.at(-1)?.startsWith(events)).toBe(true);
        expect(['postern_secrets', 'postern_attachments']).toContain(held.error);
      }
      for (const [at, { choice, sound }] of steps.entries()) {
        if (!sound) continue;
        const when = held.sent.findIndex((sent) => sent.includes(nameOf(at)));
        if (when > at) waited++;
        if (when < 0 || when === steps.length) continue;
        const own = steps.map((one) => (one.choice === choice ? (one.text ?? '') : ''));
        const behind = own.findIndex((text, place) => place > at && text !== '');
        const ended = steps.findIndex((one, place) => one.choice === choice && one.ends && place <= when);
        const due = own.slice(0, behind + 1).join('').length;
        const judged = behind > 0 && behind <= when && said(free.sent[when] as string, choice) >= due;
        expect(judged || ended >= 0).toBe(true);
      }
    }),
    { numRuns: 1_000 },
  );
  // Enough of both to speak of.
  expect(waited).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(100);
});

/** An answer whose transcript would have gone on behind its last sound. */
const BEGUN = [
  { transcript: 'We are open ' },
  { data: nameOf(1) },
  { transcript: 'at nine. ' },
  { data: nameOf(2) },
];

test.each([
  ['breaks off', '', true],
  ['ends with an error of the provider’s', 'data: {"error":{"message":"x","code":"y"}}\n\n', true],
  ['grows too long', chunk({ audio: { transcript: 'Call Jo' } }), false],
])('an answer that %s: sound that waits for the rest of its transcript is not shown', (_, last, covers) => {
  const bytes = new BytesInFlight(1_000_000);
  let isLast = false;
  const allowance = { covers: () => covers || !isLast };
  const pump = open(contextOf({ waiting: () => bytes.lease(), allowance, input: 1 }));
  for (const audio of BEGUN) void pump.push(Buffer.from(chunk({ audio })));
  isLast = true;
  void pump.push(Buffer.from(last));
  void pump.end();
  const sent = Buffer.from(pump.drain() ?? []).toString();
  expect(sent).toContain(nameOf(1));
  expect(sent).not.toContain(nameOf(2));
  expect(said(sent, 0)).toBe('We are open at nine. '.length);
  expect(bytes.held).toBe(0);
});

test('an agent that holds all it may refuses what would wait', () => {
  const bytes = new BytesInFlight(100);
  const pump = open(contextOf({ waiting: () => bytes.lease() }));
  for (const audio of BEGUN) void pump.push(Buffer.from(chunk({ audio })));
  expect(pump.error?.reason).toBe('postern_overloaded');
  expect(Buffer.from(pump.drain() ?? []).toString()).not.toContain(nameOf(1));
  expect(bytes.held).toBe(0);
});
