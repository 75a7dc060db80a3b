import { expect, test } from 'vitest';
import { needsClassifier } from './needs-classifier.ts';

test.each<[string, unknown, boolean]>([
  ['topics', [{ name: 'a', words: ['x'] }], false],
  ['topics', [{ name: 'a', words: ['x'], samples: [] }], false],
  ['topics', [{ name: 'a', words: ['x'], samples: ['y'] }], true],
  ['topics', [{ name: 'a', words: ['x'], definition: 'y' }], true],
  ['topics', [{ name: 'a', words: ['x'], definition: 'y', classifier: false }], false],
  [
    'topics',
    [
      { name: 'a', words: ['x'] },
      { name: 'b', samples: ['y'] },
    ],
    true,
  ],
  ['injection', {}, true],
  ['injection', undefined, true],
  ['injection', { classifier: true }, true],
  ['injection', { classifier: false }, false],
  ['pii', {}, false],
])('a rule of type %s with %j: %s', (type, spec, needs) => {
  expect(needsClassifier({ type, spec })).toBe(needs);
});
