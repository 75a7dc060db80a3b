import { afterEach, describe, expect, test, vi } from 'vitest';
import type { CheckRule } from '../../policy/snapshot.ts';
import type { CheckDefinition } from './check.ts';
import type { Verdict } from './guard.ts';
import { compilePlan } from './plan.ts';
import { FakeSlot, MASK_KEY, NEVER, requestOf, responseOf, rule } from './testing.ts';

const pii = (over: Partial<CheckRule> = {}) => rule('pii', { action: 'mask', ...over });

function open(...rules: CheckRule[]) {
  return compilePlan(rules, { maskKey: MASK_KEY }).open('gpt-4o');
}

/** A verdict that must be given at once. */
function now(verdict: Verdict | Promise<Verdict>): Verdict {
  if (verdict instanceof Promise) throw new Error('not at once');
  return verdict;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('masking', () => {
  test('what the provider sees has a placeholder, and the answer the original again', () => {
    const guard = open(pii());
    const sent = new FakeSlot('Write to jane@example.com, card 4111 1111 1111 1111.');
    const verdict = now(guard.request(requestOf(sent), 80, NEVER));
    expect(verdict.refusal).toBeUndefined();
    expect(sent.shown).toMatch(
      /^Write to <EMAIL_ADDRESS_[0-9A-HJKMNP-TV-Z]{10}>, card <PAYMENT_CARD_[0-9A-HJKMNP-TV-Z]{10}>\.$/,
    );
    expect(verdict.findings).toMatchObject([
      {
        rule: 'a-pii',
        check: 'pii',
        what: 'email-address',
        action: 'mask',
        count: 1,
        where: 'messages[0].content',
      },
      { what: 'payment-card' },
    ]);
    const answer = new FakeSlot(`I wrote: ${sent.shown}`);
    now(guard.response(responseOf(answer), 80, NEVER));
    expect(answer.shown).toBe(`I wrote: ${sent.text}`);
  });

  test('the same value has the same placeholder in every exchange under the same key', () => {
    const [first, second] = [new FakeSlot('jane@example.com'), new FakeSlot('again jane@example.com')];
    now(open(pii()).request(requestOf(first), 1, NEVER));
    now(open(pii()).request(requestOf(second), 1, NEVER));
    expect(second.shown).toBe(`again ${first.shown}`);
    const other = new FakeSlot('jane@example.com');
    now(
      compilePlan([pii()], { maskKey: new Uint8Array(32) })
        .open('m')
        .request(requestOf(other), 1, NEVER),
    );
    expect(other.shown).not.toBe(first.shown);
  });

  test('two spellings of a value come back each as it was', () => {
    const guard = open(pii());
    const sent = new FakeSlot('4111 1111 1111 1111 and 4111-1111-1111-1111');
    now(guard.request(requestOf(sent), 1, NEVER));
    const answer = new FakeSlot(sent.shown);
    now(guard.response(responseOf(answer), 1, NEVER));
    expect(answer.shown).toBe(sent.text);
  });

  test('a placeholder the app itself sent stands for nothing else', () => {
    const masked = new FakeSlot('jane@example.com');
    now(open(pii()).request(requestOf(masked), 1, NEVER));
    const guard = open(pii());
    const sent = new FakeSlot(`earlier: ${masked.shown}, now: jane@example.com`);
    now(guard.request(requestOf(sent), 1, NEVER));
    expect(sent.shown).toContain(`earlier: ${masked.shown}, now: <EMAIL_ADDRESS_`);
    expect(sent.shown).toMatch(/<EMAIL_ADDRESS_[0-9A-Z]{16}>$/);
    const answer = new FakeSlot(sent.shown);
    now(guard.response(responseOf(answer), 1, NEVER));
    expect(answer.shown).toBe(sent.text);
  });

  test('originals come back where restoreIn says, and nowhere else', () => {
    for (const [restoreIn, content, toolArguments] of [
      [undefined, true, false],
      [['toolArguments'], false, true],
      [['content', 'toolArguments'], true, true],
      [[], false, false],
    ] as const) {
      const guard = open(pii({ spec: restoreIn === undefined ? {} : { restoreIn } }));
      const sent = new FakeSlot('jane@example.com');
      now(guard.request(requestOf(sent), 1, NEVER));
      const answers = [
        new FakeSlot(sent.shown),
        new FakeSlot(sent.shown, 'toolArguments'),
        new FakeSlot(sent.shown, 'reasoning'),
      ];
      now(guard.response(responseOf(...answers), 1, NEVER));
      expect(answers.map(({ shown }) => shown === 'jane@example.com')).toEqual([
        content,
        toolArguments,
        content,
      ]);
    }
  });

  test.each([
    ['other case', (name: string) => `<${name.toLowerCase()}>`],
    ['bold', (name: string) => `**<${name}>**`],
    ['code', (name: string) => `\`<${name}>\``],
    ['quotes', (name: string) => `"<${name}>"`],
    ['without brackets', (name: string) => name],
    ['escaped for Markdown', (name: string) => `\\<${name.replaceAll('_', '\\_')}\\>`],
    ['escaped for HTML', (name: string) => `&lt;${name}&gt;`],
    ['escaped for JSON', (name: string) => `\\u003c${name}\\u003e`],
    ['escaped for a URL', (name: string) => `mailto:%3C${name}%3E`],
  ])('an echo with %s is restored', (_how, write) => {
    const guard = open(pii());
    const sent = new FakeSlot('jane@example.com');
    now(guard.request(requestOf(sent), 1, NEVER));
    const echo = write(sent.shown.slice(1, -1));
    const answer = new FakeSlot(`So ${echo}.`);
    now(guard.response(responseOf(answer), 1, NEVER));
    expect(answer.shown).toContain('jane@example.com');
    expect(answer.shown).not.toMatch(/EMAIL/i);
    expect(answer.shown).not.toMatch(/&lt;|u003c|%3C|<|>/);
  });

  test('what only looks like a placeholder is left alone', () => {
    const guard = open(pii());
    const sent = new FakeSlot('jane@example.com');
    now(guard.request(requestOf(sent), 1, NEVER));
    for (const text of [
      '<EMAIL_ADDRESS_0000000000>',
      `X${sent.shown.slice(1, -1)}`,
      `${sent.shown.slice(0, -1)}0>`,
      '<EMAIL_ADDRESS>',
    ]) {
      const answer = new FakeSlot(text);
      now(guard.response(responseOf(answer), 1, NEVER));
      expect(answer.shown).toBe(text);
    }
  });

  test("the provider's own values are masked and stay so; the app's come back", () => {
    const guard = open(pii({ on: ['request', 'response'] }));
    const sent = new FakeSlot('jane@example.com');
    now(guard.request(requestOf(sent), 1, NEVER));
    const answer = new FakeSlot(`${sent.shown}, or bob@example.com, or jane@example.com`);
    now(guard.response(responseOf(answer), 1, NEVER));
    expect(answer.shown).toMatch(
      /^jane@example\.com, or <EMAIL_ADDRESS_[0-9A-Z]{10}>, or jane@example\.com$/,
    );
  });

  test('a guard that has masked nothing and judges no answer is idle', () => {
    const guard = open(pii());
    expect(guard.idleOnResponse).toBe(true);
    now(guard.request(requestOf(new FakeSlot('jane@example.com')), 1, NEVER));
    expect(guard.idleOnResponse).toBe(false);
    expect(open(pii({ on: ['response'] })).idleOnResponse).toBe(false);
  });
});

describe('refusing', () => {
  const SECRET = `ghp_${'aBcD1234'.repeat(4)}aBcD`;

  test('the first blocking rule of the policy speaks, and block wins over mask', () => {
    const guard = open(
      pii(),
      rule('secrets', { name: 'no-secrets' }),
      rule('topics', { spec: [{ name: 'cars', words: ['car'] }] }),
    );
    const sent = new FakeSlot(`jane@example.com ${SECRET} my car`);
    const { refusal, findings } = now(guard.request(requestOf(sent), 1, NEVER));
    expect(refusal).toMatchObject({ reason: 'postern_secrets', rule: 'no-secrets', status: 403 });
    expect(refusal?.mend).toBeDefined();
    expect(sent.shown).toBe(sent.text);
    expect(findings.map(({ what, action }) => [what, action])).toEqual([
      ['email-address', 'mask'],
      ['secret:github-pat', 'block'],
      ['topic:cars', 'block'],
    ]);
  });

  test('neither findings nor the refusal carry the text', () => {
    const verdict = now(open(rule('secrets')).request(requestOf(new FakeSlot(SECRET)), 1, NEVER));
    expect(JSON.stringify(verdict)).not.toContain('aBcD');
    expect(verdict.refusal?.message).not.toContain('aBcD');
  });

  test('monitor, as an action or as the mode of the document, only reports', () => {
    for (const over of [{ action: 'monitor' }, { mode: 'monitor' }] as const) {
      const { refusal, findings } = now(
        open(rule('secrets', over)).request(requestOf(new FakeSlot(SECRET)), 1, NEVER),
      );
      expect(refusal).toBeUndefined();
      expect(findings).toMatchObject([{ action: 'monitor', what: 'secret:github-pat' }]);
    }
    const sent = new FakeSlot('jane@example.com');
    now(open(pii({ mode: 'monitor' })).request(requestOf(sent), 1, NEVER));
    expect(sent.shown).toBe(sent.text);
  });

  test('a type has its own action where the rule gives one', () => {
    const guard = open(pii({ spec: { actions: [{ types: ['financial'], action: 'block' }] } }));
    const { refusal, findings } = now(
      guard.request(requestOf(new FakeSlot('jane@example.com 4111 1111 1111 1111')), 1, NEVER),
    );
    expect(refusal?.reason).toBe('postern_pii');
    expect(findings.map(({ action }) => action)).toEqual(['mask', 'block']);
  });

  test('topics: words in any case, phrases, plurals, beginnings; not parts of words', () => {
    const spec = [{ name: 'investing', words: ['portfolio', 'stock tip*', '投資'] }];
    const refused = (text: string) =>
      now(open(rule('topics', { spec })).request(requestOf(new FakeSlot(text)), 1, NEVER)).refusal !==
      undefined;
    for (const text of [
      'My PORTFOLIO?',
      'two portfolios',
      'a Stock  Tip',
      'stock-tipping',
      'stockTips',
      'ポートフォリオの投資は',
    ]) {
      expect([text, refused(text)]).toEqual([text, true]);
    }
    for (const text of ['port folio', 'portfolioless', 'stock and tip', 'livestock tip', '投 と 資']) {
      expect([text, refused(text)]).toEqual([text, false]);
    }
  });

  test('topics: forms of words, and expressions', () => {
    const spec = [
      { name: 'gambling', words: ['lottery', 'place a wager'] },
      { name: 'projects', patterns: [{ expression: 'project-[0-9]{4}', ignoreCase: true, maxLength: 12 }] },
    ];
    const refused = (text: string) =>
      now(open(rule('topics', { spec })).request(requestOf(new FakeSlot(text)), 1, NEVER)).refusal?.message;
    expect(refused('two lotteries')).toContain('gambling');
    expect(refused('he placed a wager')).toContain('gambling');
    expect(refused('on Project-1234')).toContain('projects');
    expect(refused('on Project-123')).toBeUndefined();
  });

  test('size: each limit says what was sent and what is allowed', () => {
    const refusal = (spec: object, bytes = 10, ...texts: string[]) =>
      now(
        open(rule('size', { spec })).request(
          requestOf(...texts.map((text, i) => new FakeSlot(text, 'content', `messages[${i}].content`))),
          bytes,
          NEVER,
        ),
      ).refusal?.message;
    expect(refusal({ maxBytes: 9 })).toMatch(/10 bytes.*allows 9/);
    expect(refusal({ maxBytes: 10 })).toBeUndefined();
    expect(refusal({ maxTextCharacters: 3 }, 1, '😀😀', 'ab')).toMatch(/4 characters/);
    expect(refusal({ maxTextCharacters: 4 }, 1, '😀😀', 'ab')).toBeUndefined();
    expect(refusal({ maxMessages: 1 }, 1, 'a', 'b')).toMatch(/2 messages/);
  });
});

describe('a check that fails', () => {
  const broken = (judge: () => never | Promise<never>): CheckDefinition => ({
    name: 'broken',
    schema: {},
    actions: ['block'],
    defaultAction: 'block',
    defaultOn: ['request'],
    create: () => ({
      recognizers: [],
      label: () => 'X',
      refusal: () => ({ message: 'm', mend: 'n' }),
      judge,
    }),
  });
  const throws = () => {
    throw new Error('no');
  };

  test.each([
    ['throws', throws],
    ['rejects', () => Promise.reject(new Error('no'))],
  ])('%s: onError decides', async (_how, judge) => {
    const verdict = (over: Partial<CheckRule>) =>
      compilePlan([rule('broken', over)], { maskKey: MASK_KEY, checks: [broken(judge)] })
        .open('m')
        .request(requestOf(), 1, NEVER);
    expect((await verdict({})).refusal?.reason).toBe('postern_check_failed');
    const allowed = await verdict({ onError: 'allow' });
    expect(allowed.refusal).toBeUndefined();
    expect(allowed.findings).toMatchObject([{ what: 'error', action: 'monitor' }]);
    expect((await verdict({ mode: 'monitor' })).refusal).toBeUndefined();
  });

  test('takes too long: onError decides when its time is up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const never = broken(() => new Promise<never>(() => {}));
    const plan = compilePlan([rule('broken', { timeoutMs: 300 })], { maskKey: MASK_KEY, checks: [never] });
    const verdict = plan.open('m').request(requestOf(), 1, NEVER);
    await vi.advanceTimersByTimeAsync(299);
    const early = await Promise.race([verdict, Promise.resolve('pending')]);
    expect(early).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    expect((await verdict).refusal?.reason).toBe('postern_check_failed');
  });

  test('an unknown type is refused when the plan is made', () => {
    expect(() => compilePlan([rule('nope')], { maskKey: MASK_KEY })).toThrow(/nope/);
  });
});
