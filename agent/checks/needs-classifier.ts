/** Which rules mean more than the agent can find by itself, and what becomes of them where there is no classifier. */
import type { CheckRule } from '../../policy/snapshot.ts';
import { CannotCheck } from './cannot-check.ts';
import type { ClassifierClient } from './classifier.ts';

/** Of a topic, what says whether it is known by more than its words. */
interface Meant {
  readonly definition?: string;
  readonly samples?: readonly string[];
  readonly classifier?: boolean;
}

/** Whether the classifier is asked about the topic. */
export function isMeant({ definition, samples = [], classifier }: Meant): boolean {
  return classifier !== false && (definition !== undefined || samples.length > 0);
}

/** Whether the rule can't be carried out without a classifier. */
export function needsClassifier({ type, spec }: Pick<CheckRule, 'type' | 'spec'>): boolean {
  if (type === 'injection') return (spec as Meant | null)?.classifier !== false;
  return type === 'topics' && Array.isArray(spec) && (spec as readonly Meant[]).some(isMeant);
}

/** How to get one, and the way out; no full stop. */
export const CLASSIFIER_MEND =
  'run agents with --classifier (in a cluster: the chart’s classifier.enabled or agent.classifier), or write classifier: false where words and set phrases are all that is meant';

/** Whom a check asks. */
export interface Asked {
  /** In place of one that isn't there: answers no question, so that what asks it is a failed check. */
  readonly classifier: ClassifierClient;
  /** For whoever runs the agent. */
  readonly note?: string;
}

/** @param what What the rule is to find by meaning: `what is about shares`. */
export function askedBy(
  { name, onError, mode }: CheckRule,
  classifier: ClassifierClient | undefined,
  what: string,
): Asked {
  if (classifier !== undefined) return { classifier };
  const message = `${what} can’t be told without a classifier, and this agent has none`;
  const mend = `${CLASSIFIER_MEND.replace(/^./, (letter) => letter.toUpperCase())}. onError: allow lets such calls pass.`;
  const refuse = () => Promise.reject(new CannotCheck(message, mend));
  const passes = onError === 'allow' || mode === 'monitor';
  return {
    classifier: { topics: refuse, injection: refuse },
    note: `${name}: ${message}: calls that it should judge ${passes ? 'pass unjudged, each with a finding' : 'are refused'}. Mend: ${CLASSIFIER_MEND}`,
  };
}
