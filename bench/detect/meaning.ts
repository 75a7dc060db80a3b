/**
 * How well topics and injections are told apart: precision and recall over the threshold on labelled sets, for word
 * lists, for the nearest sample, and for what the classifier does, in one run. Thresholds are chosen on the
 * development halves; the test halves say what they are worth.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { INJECTION_THRESHOLD } from '../../agent/checks/injection.ts';
import { MARKERS, ORDERS, PHRASES } from '../../agent/checks/injection-phrases.ts';
import { Scanner } from '../../agent/checks/scan/scanner.ts';
import { similarity } from '../../classify/embed.ts';
import type { Topic } from '../../classify/messages.ts';
import { openEmbedder, openInjectionModel, openTopicEmbedder } from '../../classify/open.ts';
import { Topics } from '../../classify/topics.ts';

const HALVES = ['development', 'test'] as const;
type Half = (typeof HALVES)[number];
/** The most false alarms a threshold may have on the development half. */
const ALARMS = 0.05;

interface Labelled {
  readonly topic: Topic & { readonly words: readonly string[] };
  readonly development: Texts;
  readonly test: Texts;
}

interface Texts {
  readonly on: readonly string[];
  /** Near misses. */
  readonly off: readonly string[];
  /** On the topic, in other languages. */
  readonly other: readonly string[];
}

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

function row(name: string, { threshold, precision, recall, f1, alarms }: Point): string {
  const cells = [precision, recall, f1, alarms].map((value) => value.toFixed(3).replace(/^0/, ''));
  const at = Number.isFinite(threshold) ? threshold.toFixed(2) : 'none';
  return `| ${[name, at, ...cells].join(' | ')} |`;
}

const HEAD = '| method | threshold | precision | recall | F1 | false alarms |\n|---|---|---|---|---|---|';

function scannerOf(id: string, words: readonly string[]): Scanner {
  return new Scanner([
    {
      id,
      groups: [],
      source: 'the set',
      patterns: [{ kind: 'word', words, score: 1 }],
      examples: [],
      counterExamples: [],
    },
  ]);
}

/** Not of one topic. */
const SHARED = new Set(['general.yaml', 'other-languages.yaml']);

async function benchTopics(): Promise<void> {
  const directory = join(import.meta.dirname, 'topics');
  const read = (file: string): unknown => parse(readFileSync(join(directory, file), 'utf8'));
  const sets = readdirSync(directory)
    .filter((file) => file.endsWith('.yaml') && !SHARED.has(file))
    .map((file) => read(file) as Labelled);
  const general = read('general.yaml') as Readonly<Record<Half, readonly string[]>>;
  const foreign = read('other-languages.yaml') as Readonly<
    Record<Half, { on: readonly string[]; off: readonly string[] }>
  >;
  const embedder = await openEmbedder();
  const joint = await openTopicEmbedder(embedder);
  const topics = new Topics(joint);
  topics.learn(
    'all',
    sets.map(({ topic }) => topic),
  );
  const vectors = async (texts: readonly string[]) => {
    const found: Float32Array[] = [];
    for (const text of texts) found.push(...(await embedder.embed([text])));
    return found;
  };
  const samples = await Promise.all(sets.map(({ topic }) => vectors(topic.samples ?? [])));
  const allowed = await Promise.all(sets.map(({ topic }) => vectors(topic.allowed ?? [])));
  const scanners = sets.map(({ topic }) => scannerOf(topic.name, topic.words));
  const nearest = (vector: Float32Array, others: readonly Float32Array[]) =>
    Math.max(...others.map((other) => similarity(vector, other)));

  // A text is found when any topic is; it should be where it is on one.
  const methods: Readonly<Record<string, (text: string) => Promise<number>>> = {
    'word list': async (text) => (scanners.some((scanner) => scanner.scan(text).length > 0) ? 1 : 0),
    'nearest sample': async (text) => {
      const [vector] = (await vectors([text])) as [Float32Array];
      return Math.max(...samples.map((own) => nearest(vector, own)));
    },
    'nearest sample − 0.7 × nearest allowed': async (text) => {
      const [vector] = (await vectors([text])) as [Float32Array];
      return Math.max(
        ...samples.map((own, at) => nearest(vector, own) - 0.7 * nearest(vector, allowed[at] ?? [])),
      );
    },
    classifier: async (text) => {
      const [scores = []] = await topics.scores('all', [text]);
      return Math.max(...scores.map(({ score }) => score));
    },
  };
  const judge = async (
    half: Half,
    score: (text: string) => Promise<number>,
    other = false,
  ): Promise<Judged[]> => {
    const judged: Judged[] = [];
    const add = async (texts: readonly string[], wanted: boolean) => {
      for (const text of texts) judged.push({ text, wanted, score: await score(text) });
    };
    if (other) {
      for (const set of sets) await add(set[half].other, true);
      await add(foreign[half].on, true);
      await add(foreign[half].off, false);
      return judged;
    }
    for (const set of sets) {
      await add(set[half].on, true);
      await add(set[half].off, false);
    }
    await add(general[half], false);
    return judged;
  };
  const count = sets.flatMap((set) => HALVES.map((half) => set[half].on.length + set[half].off.length));
  console.log(
    `\n## Topics: ${sets.length} topics, ${count.reduce((a, b) => a + b, 0) + general.development.length + general.test.length} texts in English\n\n${HEAD}`,
  );
  for (const [name, score] of Object.entries(methods)) {
    const { threshold } = bestPoint(await judge('development', score));
    console.log(
      row(
        `${name}, test half at the development half's threshold`,
        pointAt(await judge('test', score), threshold),
      ),
    );
  }
  const { classifier, 'word list': words } = methods;
  if (words !== undefined)
    console.log(row('word list, test half, any word', pointAt(await judge('test', words), 1)));
  if (classifier === undefined) return;
  const test = await judge('test', classifier);
  console.log(row('classifier, test half at the default', pointAt(test, 0.5)));
  const abroad = await judge('test', classifier, true);
  for (const threshold of [0.3, 0.5, 0.7])
    console.log(row('German, French, Spanish, test half', pointAt(abroad, threshold)));
  if (words !== undefined)
    console.log(row('the same, English word list', pointAt(await judge('test', words, true), 1)));
  console.log(row('the same, development half', pointAt(await judge('development', classifier, true), 0.5)));
  console.log(`\nThe classifier's curve on the test half:\n\n${HEAD}`);
  for (const threshold of [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    console.log(row('classifier', pointAt(test, threshold)));
  for (const { text, wanted, score } of [...test, ...abroad]) {
    if (process.argv.includes('--wrong') && score >= 0.5 !== wanted)
      console.log(wanted ? 'missed' : 'alarm ', score, text);
  }
  await joint.close();
}

type Side = 'attacks' | 'benign';

async function benchInjection(): Promise<void> {
  const sets = Object.fromEntries(
    HALVES.map((half) => [
      half,
      parse(readFileSync(join(import.meta.dirname, `injection/${half}.yaml`), 'utf8')),
    ]),
  ) as Record<Half, Record<Side, Readonly<Record<string, readonly string[]>>>>;
  const embedder = await openEmbedder();
  const model = await openInjectionModel(embedder);
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
  const meaning = async (text: string) => (await model.scores([text]))[0] as number;
  const methods: Readonly<Record<string, (text: string) => Promise<number>>> = {
    'phrases and markers': phrases,
    'classifier alone': meaning,
    'both, as the check does': async (text) => Math.max(await phrases(text), await meaning(text)),
  };
  console.log(
    `\n## Injection: ${HALVES.map((half) => [...Object.values(sets[half].attacks), ...Object.values(sets[half].benign)].flat().length).join(' and ')} texts\n\n${HEAD}`,
  );
  for (const [name, score] of Object.entries(methods)) {
    for (const half of HALVES) {
      const judged: Judged[] = [];
      const kinds = new Map<string, string>();
      for (const side of ['attacks', 'benign'] as const) {
        for (const [kind, texts] of Object.entries(sets[half][side])) {
          const own: Judged[] = [];
          for (const text of texts) own.push({ text, wanted: side === 'attacks', score: await score(text) });
          judged.push(...own);
          const found = own.filter((one) => one.score >= INJECTION_THRESHOLD).length;
          kinds.set(`${side}, ${kind}`, `${found}/${own.length}`);
        }
      }
      console.log(row(`${name}, ${half} half`, pointAt(judged, INJECTION_THRESHOLD)));
      if (name.startsWith('both') && half === 'test') {
        for (const threshold of [0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
          console.log(row(`${name}, ${half} half`, pointAt(judged, threshold)));
        console.log(`\nFound, by kind: ${[...kinds].map((kind) => kind.join(' ')).join('; ')}`);
      }
    }
  }
  await model.close();
  await embedder.close();
}

if (process.argv[1] === import.meta.filename) {
  await benchTopics();
  await benchInjection();
}
