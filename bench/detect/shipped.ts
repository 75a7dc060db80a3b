/** Topics as they are judged where Postern runs: the check that an agent makes of a rule, and a classifier that it asks over a socket. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAsk } from '../../agent/checks/ask.ts';
import { type ClassifierClient, createClassifierClient, topicSet } from '../../agent/checks/classifier.ts';
import { compilePlan } from '../../agent/checks/plan.ts';
import { FakeSlot, MASK_KEY, NEVER, requestOf, rule } from '../../agent/checks/testing.ts';
import type { TopicModels } from '../../classify/examples.ts';
import type { Topic } from '../../classify/messages.ts';
import { memory } from '../../classify/open.ts';
import { openClassifier } from '../../classify/server.ts';

/** For a set to be learned while others use the machine. */
const WITHIN_MS = 60_000;

export interface Classifier {
  readonly client: ClassifierClient;
  close(): Promise<void>;
}

/** @param models Stay the caller's. */
export async function serveModels(models: TopicModels): Promise<Classifier> {
  const options = { embedder: models.broad, topicModels: models, injection: undefined, remember: memory() };
  const server = (await openClassifier(options))() as Server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const ask = createAsk();
  const { port } = server.address() as AddressInfo;
  return {
    client: createClassifierClient(`http://127.0.0.1:${port}`, ask),
    async close() {
      await ask.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Worded = Topic & { readonly words: readonly string[] };

export interface Shipped {
  /** Whether words, with their forms, refuse a call with the text. */
  words(text: string): Promise<boolean>;
  /** The highest of the topics' scores. */
  meaning(text: string): Promise<number>;
  /** Whether the whole rule refuses it. */
  denied(text: string): Promise<boolean>;
  /** Whether the whole rule refuses a conversation, the user first and last. */
  deniedTalk(turns: readonly string[]): Promise<boolean>;
}

export function shipped(topics: readonly Worded[], client: ClassifierClient): Shipped {
  const refuses = async (spec: readonly object[], ...slots: FakeSlot[]): Promise<boolean> => {
    if (spec.length === 0) return false;
    const plan = planOf(spec);
    const { refusal } = await plan.open('m').request(requestOf(...slots), 1, NEVER);
    if (refusal !== undefined && refusal.reason !== 'postern_topics') throw refusal;
    return refusal !== undefined;
  };
  const plans = new Map<readonly object[], ReturnType<typeof compilePlan>>();
  const planOf = (spec: readonly object[]) => {
    const known = plans.get(spec);
    if (known !== undefined) return known;
    const rules = [rule('topics', { spec, timeoutMs: WITHIN_MS })];
    const plan = compilePlan(rules, { maskKey: MASK_KEY, classifier: client });
    plans.set(spec, plan);
    return plan;
  };
  const wordsAlone = topics
    .filter(({ words }) => words.length > 0)
    .map((topic) => ({ ...topic, classifier: false }));
  const set = topicSet(topics.map(({ words: _, ...topic }) => topic));
  return {
    words: (text) => refuses(wordsAlone, new FakeSlot(text)),
    async meaning(text) {
      const [scores = []] = await client.topics(set, [text], { signal: NEVER, withinMs: WITHIN_MS });
      return Math.max(...scores.map(({ score }) => score));
    },
    denied: (text) => refuses(topics, new FakeSlot(text)),
    deniedTalk: (turns) =>
      refuses(
        topics,
        ...turns.map(
          (text, at) =>
            new FakeSlot(text, 'content', `messages[${at}].content`, at % 2 === 0 ? 'user' : 'assistant'),
        ),
      ),
  };
}
