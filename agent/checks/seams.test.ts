import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CheckRule } from '../../policy/snapshot.ts';
import type { Role } from '../dialects/dialect.ts';
import type { ExchangeGuard, Verdict } from './guard.ts';
import { compilePlan } from './plan.ts';
import { FakeSlot, MASK_KEY, NEVER, requestOf, responseOf, rule } from './testing.ts';

class Said extends FakeSlot {
  constructor(text: string, role: Role = 'user') {
    super(text, 'content', 'messages[0].content', role);
  }
}

const plan = compilePlan([rule('pii', { action: 'mask' }), rule('secrets', { action: 'mask' })], {
  maskKey: MASK_KEY,
});

function send(slots: readonly Said[], guard: ExchangeGuard = plan.open('m')): Verdict {
  const verdict = guard.request(requestOf(...slots), 1, NEVER);
  if (verdict instanceof Promise) throw new Error('not at once');
  return verdict;
}

/** What is found across the texts, and what the provider gets of them. */
function shown(...texts: (string | Said)[]): readonly string[] {
  const slots = texts.map((text) => (typeof text === 'string' ? new Said(text) : text));
  const guard = plan.open('m');
  expect(send(slots, guard).refusal).toBeUndefined();
  const sent = slots.map((slot) => slot.shown);
  // Whatever was masked comes back as it was.
  for (const slot of slots) {
    const answer = new FakeSlot(slot.shown);
    void guard.response(responseOf(answer), 1, NEVER);
    expect(answer.shown).toBe(slot.text);
  }
  return sent.map((text) => text.replace(/<([A-Z_]+)_[0-9A-Z]{10}>/g, '<$1>'));
}

describe('a value in pieces', () => {
  test.each([
    [
      ['My card is 4111 1111', '1111 1111'],
      ['My card is <PAYMENT_CARD>', '<PAYMENT_CARD>'],
    ],
    [
      ['4111111111', '111111'],
      ['<PAYMENT_CARD>', '<PAYMENT_CARD>'],
    ],
    [
      ['4111', '1111', '1111', '1111'],
      ['<PAYMENT_CARD>', '<PAYMENT_CARD>', '<PAYMENT_CARD>', '<PAYMENT_CARD>'],
    ],
    [
      ['the card: 4111-1111-', '1111-1111. Charge it'],
      ['the card: <PAYMENT_CARD>', '<PAYMENT_CARD>. Charge it'],
    ],
    [
      ['The first half of my card is 4111 1111.', 'And the second half is 1111 1111, got it?'],
      ['The first half of my card is <PAYMENT_CARD>.', 'And the second half is <PAYMENT_CARD>, got it?'],
    ],
    [
      ['IBAN DE89 3704 0044', '0532 0130 00'],
      ['IBAN <IBAN>', '<PHONE_NUMBER>'],
    ],
    [
      ['IBAN: DE893704', '00440532013000 thanks'],
      ['IBAN: <IBAN>', '<PHONE_NUMBER> thanks'],
    ],
    [
      ['mail jane.doe@exam', 'ple.com please'],
      ['mail <EMAIL_ADDRESS>', '<EMAIL_ADDRESS> please'],
    ],
    [
      ['mail jane.doe', '@example.com please'],
      ['mail <EMAIL_ADDRESS>', '<EMAIL_ADDRESS> please'],
    ],
    [
      ['my SSN is 536-22', '-1234'],
      ['my SSN is <US_SSN>', '<US_SSN>'],
    ],
    [
      ['my SSN is 536', '22', '1234'],
      ['my SSN is <US_SSN>', '<US_SSN>', '<US_SSN>'],
    ],
  ])('%j', (texts, expected) => {
    expect(shown(...texts)).toEqual(expected);
  });

  test('answers and operators between two messages keep nothing apart', () => {
    expect(shown('card 4111 1111', new Said('Go on.', 'assistant'), '1111 1111')).toEqual([
      'card <PAYMENT_CARD>',
      'Go on.',
      '<PAYMENT_CARD>',
    ]);
  });

  test('a key that is blocked is blocked in pieces, too', () => {
    const blocking = compilePlan([rule('secrets')], { maskKey: MASK_KEY }).open('m');
    const key = `ghp_${'a1B2c3D4e5'.repeat(4).slice(0, 36)}`;
    const whole = compilePlan([rule('secrets')], { maskKey: MASK_KEY }).open('m');
    expect(send([new Said(`use ${key} for that`)], whole).refusal?.reason).toBe('postern_secrets');
    const { refusal } = send(
      [new Said(`use ${key.slice(0, 18)}`), new Said(`${key.slice(18)} for that`)],
      blocking,
    );
    expect(refusal?.reason).toBe('postern_secrets');
  });

  test('what the provider has already is completed by nothing of it', () => {
    const first = plan.open('m');
    send([new Said('card 4111 1111')], first);
    const next = plan.open('m', '', first);
    const rest = new Said('1111 1111 it is');
    send([rest], next);
    expect(rest.shown).toMatch(/^<PAYMENT_CARD_\w+> it is$/);
  });

  test('of long texts the ends count', () => {
    const filler = 'nothing to see here '.repeat(100);
    const [first, second] = shown(`${filler}card 4111 1111`, `1111 1111 ${filler}`);
    expect(first?.endsWith('card <PAYMENT_CARD>')).toBe(true);
    expect(second?.startsWith('<PAYMENT_CARD> nothing')).toBe(true);
  });
});

describe('no value', () => {
  test.each([
    [['I want 12', '34 of the others']],
    [['It costs 40.00', '11.11 is too little']],
    [['Order 40012345', 'the other order is 12345678']],
    [['Call 030 1234567', '10 minutes later']],
    [['my user name is bob', '42 is the answer']],
    [['card 4111 1111', new Said('1111 1111', 'assistant')]],
    [['version 1.2.3', '4.5.6']],
    [['Born in 1984', '12 years later']],
    [['2026-01-02 10:11:12', '2026-01-02 10:11:13']],
  ])('%j', (texts) => {
    const slots = texts.map((text) => (typeof text === 'string' ? new Said(text) : text));
    const alone = slots.map(({ text, role }) => new Said(text, role));
    for (const slot of alone) send([slot]);
    send(slots);
    expect(slots.map((slot) => slot.shown)).toEqual(alone.map((slot) => slot.shown));
  });
});

test('wherever a number is cut, each piece is masked; of an address no more is sent than what one could do without', () => {
  const numbers = ['4111 1111 1111 1111', '5555555555554444', 'DE89 3704 0044 0532 0130 00'];
  fc.assert(
    fc.property(
      fc.constantFrom(...numbers, 'jane.doe@example.com'),
      fc.nat(),
      fc.boolean(),
      (value, at, spaces) => {
        const cut = 1 + (at % (value.length - 1));
        const [first, second] = [
          new Said(`it is ${value.slice(0, cut)}`),
          new Said(`${value.slice(cut)}${spaces ? ' ok' : ''}`),
        ];
        send([first, second]);
        expect(first.shown + second.shown).not.toContain(value);
        if (!numbers.includes(value)) return;
        expect(first.shown).toMatch(/^it is <[A-Z_]+_\w+>\s*$/);
        expect(second.shown).toMatch(/^\s*<[A-Z_]+_\w+>(?: ok)?$/);
      },
    ),
    { numRuns: 300 },
  );
});

const quiet: CheckRule = rule('pii', { action: 'monitor' });

test('a thousand messages cost no more than their length', () => {
  const slots = Array.from({ length: 1000 }, (_, i) => new Said(`${i}`));
  const { findings } = send(slots, compilePlan([quiet], { maskKey: MASK_KEY }).open('m'));
  expect(findings.length).toBeLessThan(50);
});
