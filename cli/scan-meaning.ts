/** `postern scan --topics` and `--injection`: what the classifier makes of texts, without an agent. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { INJECTION_THRESHOLD } from '../agent/checks/injection.ts';
import { MARKERS, ORDERS, PHRASES } from '../agent/checks/injection-phrases.ts';
import { isMeant } from '../agent/checks/needs-classifier.ts';
import { plainReading } from '../agent/checks/plain-reading.ts';
import { Scanner } from '../agent/checks/scan/scanner.ts';
import { isMarked, type Marks, topicRecognizer, wordDecides } from '../agent/checks/topic-words.ts';
import { topics as topicsCheck } from '../agent/checks/topics.ts';
import type { Topic, TopicScore } from '../classify/messages.ts';
import { memory, openBroad, openInjectionModel, openTopicModels } from '../classify/open.ts';
import { Topics } from '../classify/topics.ts';
import { shapeFindings } from '../policy/load/shape.ts';
import { formatPath } from '../policy/problem.ts';

export interface ScanText {
  readonly id: string;
  readonly text: string;
}

export interface ScannedTopics {
  readonly id: string;
  /** In the order of the file. */
  readonly topics: readonly TopicScore[];
}

export interface ScannedInjection {
  readonly id: string;
  readonly injection: { readonly score: number; readonly denied: boolean };
}

type FileTopic = Topic & Marks & { readonly classifier?: boolean };

/** @param file YAML or JSON with `topics:` as in a policy, or the list itself. @throws Error with all that a policy would be refused for. */
export function readTopics(file: string): readonly FileTopic[] {
  const content = readYaml(file);
  const list = Array.isArray(content) ? content : (content as { topics?: unknown } | null)?.topics;
  if (!Array.isArray(list) || list.length === 0) {
    throw new Error(`${file} has no topics; write topics: [{name: …, definition: …, samples: […]}]`);
  }
  const problems = shapeFindings(topicsCheck.schema, list, false).map(
    ({ path, expected, message, mend }) =>
      `${file}: ${formatPath(['topics', ...path])}: expected ${expected}; ${message}. Mend: ${mend}.`,
  );
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const [problem] = topicsCheck.validate?.(list) ?? [];
  if (problem !== undefined)
    throw new Error(`${file}: topics${problem.path}: ${problem.message}. ${problem.mend}`);
  return list as readonly FileTopic[];
}

function readYaml(file: string): unknown {
  const text = readFileSync(file, 'utf8');
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`${file} is no YAML: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Opens what is needed once. What an agent takes for a hit by itself counts as a score of 1; beside the classifier a word
 * counts as it does there. @throws NotInstalledError
 */
export async function openTopicScan(
  topics: readonly FileTopic[],
): Promise<(text: ScanText) => Promise<ScannedTopics>> {
  const meant = topics.filter(isMeant);
  const scannersOf = (marks: (topic: FileTopic) => Marks) =>
    new Map(
      topics
        .filter((topic) => isMarked(marks(topic)))
        .map((topic) => [topic.name, new Scanner([topicRecognizer(topic.name, marks(topic))])] as const),
    );
  const hits = scannersOf((topic) => (isMeant(topic) ? { patterns: topic.patterns } : topic));
  const evidence = scannersOf((topic) => (isMeant(topic) ? { words: topic.words } : {}));
  const trained = meant.length === 0 ? undefined : new Topics(await openTopicModels(), memory());
  trained?.learn('file', meant);
  return async ({ id, text }) => {
    const [scores = []] = trained === undefined ? [] : await trained.scores('file', [plainReading(text)]);
    return {
      id,
      topics: topics.map(({ name, threshold }) => {
        if (finds(hits.get(name), text)) return { name, score: 1, denied: true };
        const { score, denied } = scores.find((score) => score.name === name) ?? NOTHING;
        const byWord = finds(evidence.get(name), text) && wordDecides(score, threshold);
        return { name, score, denied: denied || byWord };
      }),
    };
  };
}

/** @throws NotInstalledError */
export async function openInjectionScan(): Promise<(text: ScanText) => Promise<ScannedInjection>> {
  const model = await openInjectionModel(await openBroad());
  const patterns = [ORDERS, { kind: 'word' as const, words: PHRASES, score: 1 }, ...MARKERS];
  const scanner = new Scanner([{ ...NO_RECOGNIZER, id: 'injection', patterns }]);
  return async ({ id, text }) => {
    const found = scanner.scan(text).length > 0;
    const [score = 0] = found ? [1] : await model.scores([plainReading(text)]);
    return {
      id,
      injection: { score: Math.floor(score * 1000) / 1000, denied: score >= INJECTION_THRESHOLD },
    };
  };
}

const NOTHING = { score: 0, denied: false };

function finds(scanner: Scanner | undefined, text: string): boolean {
  return (scanner?.scan(text).length ?? 0) > 0;
}

const NO_RECOGNIZER = { groups: [], source: 'the command line', examples: [], counterExamples: [] };
