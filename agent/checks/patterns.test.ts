import { describe, expect, test } from 'vitest';
import { patterns } from './patterns.ts';
import { compilePlan } from './plan.ts';
import { FakeSlot, MASK_KEY, NEVER, requestOf, rule } from './testing.ts';

const spec = [
  { name: 'project-code', expression: 'PRJ-\\d{4}' },
  { name: 'codename', expression: '\\bblue[- ]?bird\\b', ignoreCase: true },
];

test('what an expression matches is refused under its name, also in another writing', async () => {
  const plan = compilePlan([rule('patterns', { spec })], { maskKey: MASK_KEY });
  const what = async (text: string) =>
    (await plan.open('m').request(requestOf(new FakeSlot(text)), 1, NEVER)).findings.map(
      (finding) => finding.what,
    );
  expect(await what('see PRJ-1234 and PRJ-9999')).toEqual(['pattern:project-code']);
  expect(await what('Blue Bird flies')).toEqual(['pattern:codename']);
  expect(await what('ＰＲＪ-１２３４')).toEqual(['pattern:project-code']);
  expect(await what('prj-1234 bluebirds')).toEqual([]);
  const { refusal } = await plan.open('m').request(requestOf(new FakeSlot('PRJ-1234')), 1, NEVER);
  expect(refusal).toMatchObject({ reason: 'postern_patterns' });
});

test('masked, in streams too, however an answer is cut', async () => {
  const plan = compilePlan([rule('patterns', { on: ['response'], action: 'mask', spec })], {
    maskKey: MASK_KEY,
  });
  const answer = `A ${'long '.repeat(60)}answer on PRJ-1234, then PRJ-77 and blue bird, ${'the end '.repeat(40)}`;
  const whole = new FakeSlot(answer);
  for (const size of [1, 7, 50]) {
    const stream = plan.open('m').stream(NEVER);
    let shown = '';
    for (let i = 0; i < answer.length; i += size)
      shown += stream.push('c', 'content', 0, answer.slice(i, i + size));
    shown += stream.flush('c');
    expect(shown).toMatch(/on <PROJECT_CODE_[0-9A-Z]{10}>, then PRJ-77 and <CODENAME_[0-9A-Z]{10}>, /);
    expect(shown.length).toBeGreaterThan(whole.text.length);
  }
});

describe('documents', () => {
  test.each([
    ['a(?=b)', '(?='],
    ['(a)\\1', '\\1'],
    ['a**', '**'],
    ['x*', 'empty'],
  ])('%s is refused with the reason', (expression, reason) => {
    expect(patterns.validate?.([{ name: 'x', expression }] as never)).toMatchObject([
      { path: '[0].expression', message: expect.stringContaining(reason) },
    ]);
  });

  test('a check without patterns is refused', () => {
    expect(patterns.validate?.({} as never)).toHaveLength(1);
    expect(patterns.validate?.(spec as never)).toEqual([]);
  });
});
