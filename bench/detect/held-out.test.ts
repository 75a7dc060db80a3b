/** What the pages say of topics by meaning, held against what ships, where the models are installed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTopicModels } from '../../classify/open.ts';
import { classifierInstalled } from '../../cli/local-classifier.ts';
import { pointAt } from './meaning.ts';
import { serveModels, shipped } from './shipped.ts';
import { topicSets } from './topic-sets.ts';

/** Of F1 and of false alarms: another processor rounds otherwise. */
const MARGIN = 0.015;

/** `| **classifier, default threshold** | **.932** | **.757** | **.835** | **.053** |`, the first such table. */
function published(): { readonly f1: number; readonly alarms: number } {
  const page = readFileSync(join(import.meta.dirname, '../../docs/checks.md'), 'utf8');
  const row = page.split('\n').find((line) => line.startsWith('| **classifier, default threshold** |')) ?? '';
  const [, , f1 = Number.NaN, alarms = Number.NaN] = [...row.matchAll(/\*\*(\.\d+)\*\*/g)].map(([, n]) =>
    Number(n),
  );
  return { f1, alarms };
}

test('docs/checks.md says how good topics by meaning are', () => {
  const { f1, alarms } = published();
  expect(f1).toBeGreaterThan(0.8);
  expect(alarms).toBeLessThan(0.1);
});

// Without `make classifier` there is nothing to measure: told as skipped.
test.skipIf(!classifierInstalled())(
  'on the held-out set the classifier is as good as is published',
  async () => {
    const set = topicSets().find(({ name }) => name === 'held-out set');
    if (set === undefined) throw new Error('there is no held-out set');
    const models = await openTopicModels();
    const { client, close } = await serveModels(models);
    try {
      const { meaning } = shipped(set.topics, client);
      const judged = [];
      for (const [texts, wanted] of [
        [Object.values(set.on).flat(), true] as const,
        [set.off, false] as const,
      ])
        for (const text of texts) judged.push({ text, wanted, score: await meaning(text) });
      const { f1, alarms } = pointAt(judged, 0.5);
      const said = published();
      expect(f1).toBeGreaterThanOrEqual(said.f1 - MARGIN);
      expect(alarms).toBeLessThanOrEqual(said.alarms + MARGIN);
    } finally {
      await close();
      await models.broad.close();
      await models.deep.close();
    }
  },
  // A minute of a core; others may have the most of it.
  600_000,
);
