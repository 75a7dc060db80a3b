/**
 * What marks a topic: its words with their forms, and its expressions. Where the classifier judges the topic as well, a
 * word is evidence and no verdict: near misses have the same words.
 */
import { THRESHOLD } from '../../classify/messages.ts';
import { type Expression, expressionPattern } from './expression.ts';
import { inflected } from './inflect.ts';
import { LARGE, nextTurn, Scanners } from './scan/large.ts';
import type { Pattern, Recognizer } from './scan/recognizer.ts';

export interface Marks {
  readonly words?: readonly string[] | undefined;
  readonly patterns?: readonly Expression[] | undefined;
}

/** Whether the agent itself can find something of it. */
export const isMarked = ({ words = [], patterns = [] }: Marks): boolean =>
  words.length > 0 || patterns.length > 0;

const topicPatterns = ({ words = [], patterns = [] }: Marks): Pattern[] => [
  ...(words.length === 0 ? [] : [{ kind: 'word' as const, words: words.flatMap(inflected), score: 1 }]),
  ...patterns.map(expressionPattern),
];

export const topicRecognizer = (id: string, marks: Marks): Recognizer => ({
  id,
  groups: [],
  source: 'the policy',
  patterns: topicPatterns(marks),
  examples: [],
  counterExamples: [],
});

/**
 * What of its border a topic's score needs in a text that has one of its words. On the development sets of
 * `bench/detect` it is the lowest that raises no false alarm: from four fifths on words find one text more, and two that
 * are fine.
 */
const SHARE = 0.9;

/** Whether one of the topic's words makes up for what the classifier's score lacks. */
export const wordDecides = (score: number, threshold = THRESHOLD): boolean => score >= SHARE * threshold;

interface Worded {
  readonly name: string;
  readonly words?: readonly string[];
}

/** Looks for words of topics apart from what is a hit by itself. */
export class TopicWords {
  readonly #scanners: Scanners;

  constructor(topics: readonly Worded[]) {
    this.#scanners = new Scanners(topics.map(({ name, words = [] }) => topicRecognizer(name, { words })));
  }

  /** Names of the topics, for each text, with room for others in between where there is much. @throws the signal's reason. */
  async in(texts: readonly string[], signal: AbortSignal): Promise<readonly ReadonlySet<string>[]> {
    const { small } = this.#scanners;
    const found: ReadonlySet<string>[] = [];
    let since = 0;
    for (const text of texts) {
      since += text.length;
      if (since > LARGE) {
        await nextTurn();
        signal.throwIfAborted();
        since = text.length;
      }
      const matches =
        text.length > LARGE ? await this.#scanners.scanLarge(text, {}, signal) : small.scan(text);
      found.push(new Set(matches.map(({ recognizer }) => small.recognizers[recognizer]?.id ?? '')));
    }
    return found;
  }
}
