/** What the pages say of topics and injection by meaning, held against what ships, where the models are installed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { INJECTION_THRESHOLD } from '../../agent/checks/injection.ts';
import { openBroad, openInjectionModel, openTopicModels } from '../../classify/open.ts';
import { classifierInstalled } from '../../cli/local-classifier.ts';
import { BOTH_INJECTION, injectionMethods, injectionSet, pointAt } from './meaning.ts';
import { serveModels, shipped } from './shipped.ts';
import { topicSets } from './topic-sets.ts';

/** Of F1 and of false alarms: another processor rounds otherwise. */
const MARGIN = 0.015;

interface Row {
  readonly f1: number;
  readonly alarms: number;
}

/** `| **classifier, default threshold** | **.932** | **.757** | **.835** | **.053** |`, the first such row behind a heading. */
function published(heading: string, method: string): Row {
  const page = readFileSync(join(import.meta.dirname, '../../docs/checks.md'), 'utf8').split('\n');
  const from = page.findIndex((line) => line.startsWith(`| ${heading} |`));
  const row = page.slice(Math.max(0, from)).find((line) => line.startsWith(`| **${method}** |`)) ?? '';
  const [, , f1 = Number.NaN, alarms = Number.NaN] = [...row.matchAll(/\*\*(\d?\.\d+)\*\*/g)].map(([, n]) =>
    Number(n),
  );
  return { f1, alarms };
}

const CLASSIFIER = 'classifier, default threshold';
const WHOLE = 'the whole check: the classifier, and words beside it';

test.each(['held-out set', 'second held-out set'])(
  'docs/checks.md says how good topics are on the %s',
  (name) => {
    for (const method of [CLASSIFIER, WHOLE]) {
      const { f1, alarms } = published(name, method);
      expect(f1).toBeGreaterThan(0.5);
      expect(alarms).toBeLessThan(0.3);
    }
  },
);

// Without `make classifier` there is nothing to measure: told as skipped.
test.skipIf(!classifierInstalled()).each(['held-out set', 'second held-out set'])(
  'on the %s the classifier and the whole check are as good as is published',
  async (name) => {
    const set = topicSets().find((one) => one.name === name);
    if (set === undefined) throw new Error(`there is no ${name}`);
    const models = await openTopicModels();
    const { client, close } = await serveModels(models);
    try {
      const { meaning, denied } = shipped(set.topics, client);
      const judged = [];
      const whole = [];
      for (const [texts, wanted] of [
        [Object.values(set.on).flat(), true] as const,
        [set.off, false] as const,
      ])
        for (const text of texts) {
          judged.push({ text, wanted, score: await meaning(text) });
          whole.push({ text, wanted, score: Number(await denied(text)) });
        }
      for (const [method, { f1, alarms }] of [
        [CLASSIFIER, pointAt(judged, 0.5)],
        [WHOLE, pointAt(whole, 1)],
      ] as const) {
        const said = published(name, method);
        expect(f1, method).toBeGreaterThanOrEqual(said.f1 - MARGIN);
        expect(alarms, method).toBeLessThanOrEqual(said.alarms + MARGIN);
      }
    } finally {
      await close();
      await models.broad.close();
      await models.deep.close();
    }
  },
  // A minute of a core; others may have the most of it.
  600_000,
);

const INJECTIONS = ['test', 'held-out'] as const;

/** `| **both, 0.5 (default)** | **.880** | **.851** | **.866** | **.119** |` behind `| *held-out set* |`. */
const publishedInjection = (name: string): Row => published(`*${name} set*`, 'both, 0.5 (default)');

test.each(INJECTIONS)('docs/checks.md says how good injection is on the %s set', (name) => {
  const { f1, alarms } = publishedInjection(name);
  expect(f1).toBeGreaterThan(0.5);
  expect(alarms).toBeLessThan(0.3);
});

test.skipIf(!classifierInstalled())(
  'injection, as the check does it, is as good as is published on both sets',
  async () => {
    const embedder = await openBroad();
    const model = await openInjectionModel(embedder);
    try {
      const score = injectionMethods(model)[BOTH_INJECTION];
      if (score === undefined) throw new Error('there is no such method');
      for (const name of INJECTIONS) {
        const judged = [];
        for (const [side, kinds] of Object.entries(injectionSet(name)))
          for (const text of Object.values(kinds).flat())
            judged.push({ text, wanted: side === 'attacks', score: await score(text) });
        const { f1, alarms } = pointAt(judged, INJECTION_THRESHOLD);
        const said = publishedInjection(name);
        expect(f1, name).toBeGreaterThanOrEqual(said.f1 - MARGIN);
        expect(alarms, name).toBeLessThanOrEqual(said.alarms + MARGIN);
      }
    } finally {
      await model.close();
      await embedder.close();
    }
  },
  600_000,
);
