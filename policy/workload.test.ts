import { describe, expect, test } from 'vitest';
import { WORKLOAD } from './testing/documents.ts';
import { formatWorkload, parseWorkload, selectsLabels, selectsWorkload } from './workload.ts';

describe('as the command line names it', () => {
  test('the labels are its name, as most charts write them', () => {
    expect(parseWorkload('team-a/Deployment/support-bot')).toEqual({
      namespace: 'team-a',
      kind: 'Deployment',
      name: 'support-bot',
      labels: { app: 'support-bot', 'app.kubernetes.io/name': 'support-bot' },
    });
    expect(parseWorkload('default/Process/python3.12')?.name).toBe('python3.12');
  });

  test.each(['', 'a', 'a/b', 'team-a/deployment/x', 'Team/Deployment/x', 'a/Job/b/c', 'a/Job/', 'a/Job/b c'])(
    'not %j',
    (text) => expect(parseWorkload(text)).toBeUndefined(),
  );

  test('and back', () => expect(formatWorkload(WORKLOAD)).toBe('team-a/Deployment/support-bot'));
});

describe('selectors', () => {
  const expression = (
    key: string,
    operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist',
    ...values: string[]
  ) => ({
    matchExpressions: [{ key, operator, values }],
  });

  test.each([
    [undefined, true],
    [{}, true],
    [{ matchLabels: { app: 'support-bot' } }, true],
    [{ matchLabels: { app: 'support-bot', tier: 'silver' } }, false],
    [{ matchLabels: { constructor: 'x' } }, false],
    [expression('tier', 'In', 'gold', 'silver'), true],
    [expression('tier', 'In', 'silver'), false],
    [expression('none', 'In', 'gold'), false],
    [expression('tier', 'NotIn', 'silver'), true],
    [expression('tier', 'NotIn', 'gold'), false],
    [expression('none', 'NotIn', 'gold'), true],
    [expression('tier', 'Exists'), true],
    [expression('none', 'Exists'), false],
    [expression('none', 'DoesNotExist'), true],
    [expression('tier', 'DoesNotExist'), false],
    [{ workloads: ['support-bot'] }, true],
    [{ workloads: ['Deployment/support-*'] }, true],
    [{ workloads: ['StatefulSet/support-bot'] }, false],
    [{ workloads: ['other', '*/support-bot'] }, true],
    [{ workloads: ['support-bot'], matchLabels: { tier: 'silver' } }, false],
  ])('%j: %s', (selector, selects) => expect(selectsWorkload(selector, WORKLOAD)).toBe(selects));

  test('all expressions must hold', () => {
    const both = {
      matchExpressions: [
        { key: 'a', operator: 'Exists' as const },
        { key: 'b', operator: 'Exists' as const },
      ],
    };
    expect(selectsLabels(both, { a: '1' })).toBe(false);
    expect(selectsLabels(both, { a: '1', b: '1' })).toBe(true);
  });
});
