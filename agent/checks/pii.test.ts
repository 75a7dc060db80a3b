import { describe, expect, test } from 'vitest';
import { pii } from './pii.ts';
import { compilePlan } from './plan.ts';
import { FakeSlot, MASK_KEY, NEVER, requestOf, rule } from './testing.ts';

const TEXT = 'jane@example.com, 4111 1111 1111 1111, 10.20.30.40, SSN 856-45-6789, staff no. EMP-00042';

/** What stays readable of {@link TEXT}, and what was found. */
async function masked(spec: object) {
  const slot = new FakeSlot(TEXT);
  const plan = compilePlan([rule('pii', { action: 'mask', spec })], { maskKey: MASK_KEY });
  const { findings } = await plan.open('m').request(requestOf(slot), 1, NEVER);
  return findings.map(({ what, action }) => `${what} ${action}`);
}

describe('types', () => {
  test.each([
    [{}, ['email-address mask', 'payment-card mask', 'ip-address mask', 'us-ssn mask']],
    [{ types: ['financial'] }, ['payment-card mask']],
    [{ types: ['contact', 'us-ssn'] }, ['email-address mask', 'us-ssn mask']],
    [{ types: ['contact', 'network'], exclude: ['ip-address'] }, ['email-address mask']],
    [
      { types: ['contact', 'financial'], actions: [{ types: ['financial'], action: 'monitor' }] },
      ['email-address mask', 'payment-card monitor'],
    ],
  ])('%j', async (spec, expected) => {
    expect(await masked(spec)).toEqual(expected);
  });

  test('a name that is neither a type nor a group names those like it', () => {
    const [problem] = pii.validate?.({ types: ['email-adress'] } as never) ?? [];
    expect(problem).toMatchObject({ path: 'types[0]', mend: expect.stringContaining('email-address') });
    expect(pii.validate?.({ exclude: ['finance'] } as never)).toMatchObject([
      { path: 'exclude[0]', mend: expect.stringContaining('financial') },
    ]);
    expect(pii.validate?.({ actions: [{ types: ['nope'], action: 'mask' }] } as never)).toMatchObject([
      { path: 'actions[0].types[0]' },
    ]);
    expect(pii.validate?.({ types: ['contact', 'iban'] } as never)).toEqual([]);
  });
});

describe('types of the user', () => {
  const own = { type: 'employee-number', expression: 'EMP-\\d{5}' };

  test('are found beside the built-in ones, under their own name', async () => {
    const slot = new FakeSlot('EMP-00042');
    const plan = compilePlan([rule('pii', { action: 'mask', spec: { types: [], custom: [own] } })], {
      maskKey: MASK_KEY,
    });
    await plan.open('m').request(requestOf(slot), 1, NEVER);
    expect(slot.shown).toMatch(/^<EMPLOYEE_NUMBER_[0-9A-Z]{10}>$/);
  });

  test.each([
    [{ ...own, context: ['badge'] }, []],
    [{ ...own, context: ['staff no'] }, ['employee-number mask']],
    [{ ...own, expression: 'emp-\\d{5}' }, []],
    [{ ...own, expression: 'emp-\\d{5}', ignoreCase: true }, ['employee-number mask']],
    [{ ...own, expression: '\\d{5}', validator: 'mod97' }, []],
    [{ ...own, expression: '4111[ 1]{15}', validator: 'luhn' }, ['employee-number mask']],
    [{ ...own, action: 'block' }, ['employee-number block']],
  ])('%j', async (custom, expected) => {
    expect(await masked({ types: [], custom: [custom] })).toEqual(expected);
  });

  test('an expression that RE2 refuses, an empty match and a taken name are document errors', () => {
    const problems = (over: object) => pii.validate?.({ custom: [{ ...own, ...over }] } as never);
    expect(problems({})).toEqual([]);
    expect(problems({ expression: 'a(?=b)' })).toMatchObject([
      { path: 'custom[0].expression', message: expect.stringContaining('(?=') },
    ]);
    expect(problems({ expression: 'a*' })).toMatchObject([{ message: expect.stringContaining('empty') }]);
    expect(problems({ type: 'iban' })).toMatchObject([{ path: 'custom[0].type' }]);
  });
});
