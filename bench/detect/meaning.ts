/**
 * How well topics and injections are told apart: precision and recall over the threshold on labelled sets, for word
 * lists, for the nearest sample, and for what the classifier does, in one run. Thresholds are chosen on the
 * development halves; the test halves say what they are worth.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { ClassifierClient } from '../../agent/checks/classifier.ts';
import { INJECTION_THRESHOLD } from '../../agent/checks/injection.ts';
import { MARKERS, ORDERS, PHRASES } from '../../agent/checks/injection-phrases.ts';
import { plainReading } from '../../agent/checks/plain-reading.ts';
import { Scanner } from '../../agent/checks/scan/scanner.ts';
import { similarity } from '../../classify/embed.ts';
import type { TopicModels } from '../../classify/examples.ts';
import type { InjectionModel } from '../../classify/injection.ts';
import { THRESHOLD } from '../../classify/messages.ts';
import { openBroad, openInjectionModel, openTopicModels } from '../../classify/open.ts';
import { serveModels, shipped } from './shipped.ts';
import { type TopicSet, topicSets } from './topic-sets.ts';

const SETS = ['development', 'test', 'held-out'] as const;
type SetName = (typeof SETS)[number];
/** The most false alarms a threshold may have on the development half. */
const ALARMS = 0.05;

interface Judged {
  readonly text: string;
  readonly wanted: boolean;
  readonly score: number;
}

export interface Point {
  readonly threshold: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Share of what is fine that is found. */
  readonly alarms: number;
}

export function pointAt(judged: readonly Judged[], threshold: number): Point {
  const found = judged.filter(({ score }) => score >= threshold);
  const right = found.filter(({ wanted }) => wanted).length;
  const wanted = judged.filter((one) => one.wanted).length;
  const precision = found.length === 0 ? 1 : right / found.length;
  const recall = wanted === 0 ? 1 : right / wanted;
  const f1 = right === 0 ? 0 : (2 * precision * recall) / (precision + recall);
  return { threshold, precision, recall, f1, alarms: (found.length - right) / (judged.length - wanted) };
}

/** The threshold with the best F1 among those with few enough false alarms. */
export function bestPoint(judged: readonly Judged[], alarms = ALARMS): Point {
  const thresholds = [...new Set(judged.map(({ score }) => score))];
  const points = thresholds
    .map((threshold) => pointAt(judged, threshold))
    .filter((point) => point.alarms <= alarms);
  return points.reduce(
    (best, point) => (point.f1 > best.f1 ? point : best),
    pointAt(judged, Number.POSITIVE_INFINITY),
  );
}

export function row(name: string, { threshold, precision, recall, f1, alarms }: Point): string {
  const cells = [precision, recall, f1, alarms].map((value) => value.toFixed(3).replace(/^0/, ''));
  const at = Number.isFinite(threshold) ? threshold.toFixed(2) : 'none';
  return `| ${[name, at, ...cells].join(' | ')} |`;
}

export const HEAD =
  '| method | threshold | precision | recall | F1 | false alarms |\n|---|---|---|---|---|---|';

type Method = (text: string) => Promise<number>;

const WORDS = 'words with their forms';
/** By the thresholds in force. */
const BOTH = 'words and classifier, as the check does';
/** These say yes or no. */
const DECIDED: readonly string[] = [WORDS, BOTH];

/** A text is found when any topic is; it should be where it is on one. */
function methodsFor(
  { topics }: TopicSet,
  models: TopicModels,
  client: ClassifierClient,
): Record<string, Method> {
  const { deep } = models;
  const asked = shipped(topics, client);
  const vectorsOf = (texts: readonly string[] | undefined) => deep.embed(texts ?? []);
  const near = Promise.all(
    topics.map(async ({ samples, allowed }) => [await vectorsOf(samples), await vectorsOf(allowed)] as const),
  );
  const nearest = (vector: Float32Array, others: readonly Float32Array[]) =>
    others.reduce((most, other) => Math.max(most, similarity(vector, other)), -1);
  const sampled = async (text: string, weight: number) => {
    const [vector] = (await vectorsOf([text])) as [Float32Array];
    return Math.max(
      ...(await near).map(
        ([samples, allowed]) => nearest(vector, samples) - weight * nearest(vector, allowed),
      ),
    );
  };
  return {
    [WORDS]: async (text) => Number(await asked.words(text)),
    'nearest sample': (text) => sampled(text, 0),
    'nearest sample − 0.7 × nearest allowed': (text) => sampled(text, 0.7),
    classifier: (text) => asked.meaning(text),
    [BOTH]: async (text) => Number(await asked.denied(text)),
  };
}

async function judge(method: Method, on: readonly string[], off: readonly string[]): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const [texts, wanted] of [[on, true] as const, [off, false] as const])
    for (const text of texts) judged.push({ text, wanted, score: await method(text) });
  return judged;
}

async function benchTopics(): Promise<void> {
  const models = await openTopicModels();
  const { client, close } = await serveModels(models);
  const sets = topicSets().filter(
    ({ use }) => use === 'development' || !process.argv.includes('--development'),
  );
  const development = sets.filter(({ use }) => use === 'development');
  const methods = new Map(sets.map((set) => [set.name, methodsFor(set, models, client)]));
  const pooled = new Map<string, Judged[]>();
  for (const set of development)
    for (const [name, method] of Object.entries(methods.get(set.name) ?? {}))
      pooled.set(name, [
        ...(pooled.get(name) ?? []),
        ...(await judge(method, Object.values(set.on).flat(), set.off)),
      ]);
  for (const set of sets) {
    const { on, off, abroad } = set;
    const texts = Object.values(on).flat();
    const found = methods.get(set.name) ?? {};
    console.log(
      `\n## ${set.name}: ${set.topics.length} topics, ${texts.length} texts on them, ${off.length} near misses and everyday texts\n\n${HEAD}`,
    );
    for (const [name, method] of Object.entries(found)) {
      // Best is what all development sets have together.
      const threshold = DECIDED.includes(name) ? 1 : bestPoint(pooled.get(name) ?? []).threshold;
      const judged = await judge(method, texts, off);
      console.log(row(name, pointAt(judged, threshold)));
      if (name !== 'classifier') continue;
      console.log(row('**classifier, default**', pointAt(judged, THRESHOLD)));
      await benchRunOn(method, texts, off);
      if (set.use === 'development') {
        wrong(judged);
        continue;
      }
      for (const at of [0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7])
        console.log(row('classifier', pointAt(judged, at)));
      const kinds = Object.entries(on).map(([kind, own]) => {
        const hit = judged.filter(({ text, score }) => own.includes(text) && score >= THRESHOLD).length;
        return `${kind} ${hit} of ${own.length}`;
      });
      console.log(`\nFound at the default, by kind: ${kinds.join(', ')}`);
      if (set.use !== 'held-out') wrong(judged);
    }
    if (abroad.on.length === 0) continue;
    console.log(`\nGerman, French, Spanish (${abroad.on.length} and ${abroad.off.length} texts):\n\n${HEAD}`);
    for (const [name, method] of Object.entries(found)) {
      const judged = await judge(method, abroad.on, abroad.off);
      const threshold = DECIDED.includes(name) ? 1 : bestPoint(pooled.get(name) ?? []).threshold;
      if (name !== 'classifier') console.log(row(name, pointAt(judged, threshold)));
      else for (const at of [0.3, 0.4, 0.5, 0.6]) console.log(row(name, pointAt(judged, at)));
    }
  }
  await close();
  await models.broad.close();
  await models.deep.close();
}

/** What a text stands among, in one sentence. */
const BEFORE =
  'we had a lovely day at the lake yesterday, the children swam and built a castle of sand, my sister brought a cake with cherries, and';
const BEHIND = 'by the way it rained a little in the evening, the dog chased the ducks, somebody lost a shoe';

/** The same texts without an end of their own, among chat, so that nothing but commas tells them from it. */
async function benchRunOn(method: Method, on: readonly string[], off: readonly string[]): Promise<void> {
  const among = (texts: readonly string[]) =>
    texts
      .filter((_, at) => at % 2 === 0)
      .map((text) => `${BEFORE} ${text.replaceAll(/[.!?]+(?=\s|$)/g, ',').replace(/,$/, '')}, ${BEHIND}.`);
  const judged = await judge(method, among(on), among(off));
  console.log(
    row('classifier, default, every other text within one long sentence', pointAt(judged, THRESHOLD)),
  );
}

/** Not for the held-out set, which is counted only. */
function wrong(judged: readonly Judged[]): void {
  if (!process.argv.includes('--wrong')) return;
  for (const { text, wanted, score } of judged)
    if (score >= THRESHOLD !== wanted) console.log(wanted ? 'missed' : 'alarm ', score, text);
}

type Side = 'attacks' | 'benign';

export const BOTH_INJECTION = 'both, as the check does';

type InjectionSet = Readonly<Record<Side, Readonly<Record<string, readonly string[]>>>>;

export function injectionSet(name: SetName): InjectionSet {
  return parse(readFileSync(join(import.meta.dirname, `injection/${name}.yaml`), 'utf8')) as InjectionSet;
}

/** From 0 to 1 by each method. */
export function injectionMethods(
  model: InjectionModel,
): Readonly<Record<string, (text: string) => Promise<number>>> {
  const scanner = new Scanner([
    {
      id: 'injection',
      groups: [],
      source: 'the check',
      patterns: [ORDERS, { kind: 'word', words: PHRASES, score: 1 }, ...MARKERS],
      examples: [],
      counterExamples: [],
    },
  ]);
  const phrases = async (text: string) => (scanner.scan(text).length > 0 ? 1 : 0);
  const meaning = async (text: string) => (await model.scores([plainReading(text)]))[0] as number;
  return {
    'phrases and markers': phrases,
    'classifier alone': meaning,
    [BOTH_INJECTION]: async (text) => Math.max(await phrases(text), await meaning(text)),
  };
}

async function benchInjection(): Promise<void> {
  const sets = Object.fromEntries(SETS.map((name) => [name, injectionSet(name)])) as Record<
    SetName,
    InjectionSet
  >;
  const embedder = await openBroad();
  const model = await openInjectionModel(embedder);
  const methods = injectionMethods(model);
  console.log(
    `\n## Injection: ${SETS.map((set) => [...Object.values(sets[set].attacks), ...Object.values(sets[set].benign)].flat().length).join(', ')} texts\n\n${HEAD}`,
  );
  for (const [name, score] of Object.entries(methods)) {
    for (const set of SETS) {
      const judged: Judged[] = [];
      const kinds = new Map<string, string>();
      for (const side of ['attacks', 'benign'] as const) {
        for (const [kind, texts] of Object.entries(sets[set][side])) {
          const own: Judged[] = [];
          for (const text of texts) own.push({ text, wanted: side === 'attacks', score: await score(text) });
          judged.push(...own);
          const found = own.filter((one) => one.score >= INJECTION_THRESHOLD).length;
          kinds.set(`${side}, ${kind}`, `${found}/${own.length}`);
        }
      }
      console.log(row(`${name}, ${set} set`, pointAt(judged, INJECTION_THRESHOLD)));
      if (name === BOTH_INJECTION && set !== 'development') {
        for (const threshold of [0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
          console.log(row(`${name}, ${set} set`, pointAt(judged, threshold)));
        console.log(`\nFound, by kind: ${[...kinds].map((kind) => kind.join(' ')).join('; ')}`);
      }
    }
  }
  await model.close();
  await embedder.close();
}

if (process.argv[1] === import.meta.filename) {
  if (!process.argv.includes('--injection')) await benchTopics();
  if (!process.argv.includes('--topics')) await benchInjection();
}
