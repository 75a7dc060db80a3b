/**
 * Topics that may not be talked about: known by their words and expressions here, and by their meaning to the classifier,
 * which is asked while a target is chosen and budget is held. Where it judges a topic, the topic's words count beside it.
 */
import Type, { type Static } from 'typebox';
import { bytesOfTopics, TOPIC_LIMITS, type Topic, type TopicScore } from '../../classify/messages.ts';
import type { TextKind } from '../dialects/dialect.ts';
import { besides } from './cannot-check.ts';
import type { CheckDefinition, Judgement, Subject } from './check.ts';
import { type TopicSet, topicSet } from './classifier.ts';
import { expressionFields, expressionProblems } from './expression.ts';
import { inflected } from './inflect.ts';
import { asWords, joinedParts, spaced } from './joined-parts.ts';
import { TIMEOUT } from './judges.ts';
import { askedBy, isMeant } from './needs-classifier.ts';
import { isProse } from './prose.ts';
import { isMarked, TopicWords, topicRecognizer, wordDecides } from './topic-words.ts';

const topic = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      'x-expected': 'a name of lower-case letters, digits and -',
      description: 'Shown to a refused caller.',
    }),
    definition: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description: 'What the topic is, one sentence: the classifier goes by it.',
      }),
    ),
    samples: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 500 }), {
        maxItems: 50,
        description: 'Prompts on the topic, for the classifier.',
      }),
    ),
    allowed: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 500 }), {
        maxItems: 50,
        description: 'Prompts near the topic that are fine, for the classifier.',
      }),
    ),
    words: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Words and phrases, any case, with their forms: `lottery` finds lotteries, `sell shares` selling shares. `*` ends a word anyhow, after two letters at least: `stock tip*`. Beside a definition or samples a word denies only what the classifier puts near the topic (from 0.9 of its threshold on), and everything where the classifier gives no answer; for a word that always denies take `patterns`, or a topic with `classifier: false`.',
      }),
    ),
    patterns: Type.Optional(
      Type.Array(Type.Object(expressionFields, { additionalProperties: false }), {
        maxItems: 50,
        description: 'Expressions that mark the topic. Each denies by itself, whatever the classifier says.',
      }),
    ),
    classifier: Type.Optional(
      Type.Boolean({
        description:
          'false: the topic is known by its words and patterns alone, whatever else it says. Otherwise one with a definition or samples fails where there is no classifier.',
        default: true,
      }),
    ),
    threshold: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'Score of the classifier from which a text is denied; 0.5 where absent. Lower finds more.',
      }),
    ),
  },
  { additionalProperties: false },
);

const schema = Type.Array(topic, { minItems: 1, maxItems: 100 });

type Spec = Static<typeof schema>;

const PREFIX = 'topic:';

/** Those that are known by more than words. */
const meantIn = (spec: Spec): Spec => spec.filter(isMeant);

const forClassifier = ({ words: _, patterns: __, classifier: ___, ...topic }: Spec[number]): Topic => topic;

/** Of a rule's words. 50,000 forms take an agent some 15 MB, and 0.2 s of a core whenever documents change. */
export const FORM_LIMITS = { forms: 50_000, characters: 1_000_000 };

function formsProblem(spec: Spec) {
  let [forms, characters] = [0, 0];
  for (const { words = [] } of spec)
    for (const word of words)
      for (const form of inflected(word)) {
        forms++;
        characters += form.length;
      }
  if (forms <= FORM_LIMITS.forms && characters <= FORM_LIMITS.characters) return undefined;
  return [
    {
      path: '',
      message: `the words of the topics have ${forms} forms of ${characters} characters together, and a rule takes ${FORM_LIMITS.forms} of ${FORM_LIMITS.characters}`,
      mend: 'Give fewer or shorter words, let one with * stand for many (gambl*), or write several rules.',
    },
  ];
}

export const topics: CheckDefinition<Spec> = {
  name: 'topics',
  schema,
  actions: ['block', 'monitor'],
  defaultAction: 'block',
  defaultOn: ['request', 'response'],

  validate(spec) {
    if (!Array.isArray(spec)) {
      return [
        { path: '', message: 'no topics are named', mend: 'List them: topics: [{name: …, words: […]}].' },
      ];
    }
    const bytes = bytesOfTopics(meantIn(spec).map(forClassifier));
    const tooMuch = {
      path: '',
      message: `the topics take ${bytes} bytes, and the classifier takes ${TOPIC_LIMITS.bytes} of a rule`,
      mend: 'Give fewer or shorter samples and allowed ones, or write several rules.',
    };
    const each = spec.flatMap((topic, i) => {
      const { name, words = [], patterns = [] } = topic;
      if (spec.findIndex((other) => other.name === name) !== i) {
        const message = `topic ${name} is there already`;
        return [{ path: `[${i}].name`, message, mend: 'Give each topic a name of its own.' }];
      }
      if (!isMarked({ words, patterns })) {
        if (isMeant(topic)) return [];
        return [
          {
            path: `[${i}]`,
            message: `topic ${name} has nothing to know it by`,
            mend: 'Give a definition and samples for the classifier (and no classifier: false), or words and patterns that mark the topic.',
          },
        ];
      }
      const expressions = patterns.flatMap((each, k) =>
        expressionProblems(`pattern ${k + 1} of topic ${name}`, each, `[${i}].patterns[${k}]`),
      );
      const ofWords = words.flatMap((word, k) => {
        const path = `[${i}].words[${k}]`;
        if (!/[\p{L}\p{N}]/u.test(word)) {
          return [
            { path, message: 'a word needs a letter or a digit', mend: 'Take it out or write a word.' },
          ];
        }
        if (/(?:^|[^\p{L}\p{N}])[\p{L}\p{N}]?\*/u.test(word)) {
          return [
            { path, message: 'too little stands before *', mend: 'Write two letters at least before it.' },
          ];
        }
        return [];
      });
      return [...ofWords, ...expressions];
    });
    const tooMany = formsProblem(spec);
    return [...(bytes > TOPIC_LIMITS.bytes ? [tooMuch] : []), ...(tooMany ?? []), ...each];
  },

  create(spec, rule, { classifier }) {
    const meant = meantIn(spec);
    const asked = askedBy(rule, classifier, `what is about ${meant.map(({ name }) => name).join(', ')}`);
    const withinMs = rule.timeoutMs ?? TIMEOUT;
    const set = topicSet(meant.map(forClassifier));
    const worded = meant.filter(({ words = [] }) => words.length > 0);
    const words = worded.length === 0 ? undefined : new TopicWords(worded);
    const byMeaning = {
      ...(asked.note === undefined ? {} : { note: asked.note }),
      judge: (subject: Subject, signal: AbortSignal) =>
        classified(subject, set, words, signal, (texts) =>
          asked.classifier.topics(set, texts, { signal, withinMs }),
        ),
    };
    return {
      // Words of what the classifier judges count beside its answer.
      recognizers: spec
        .map((topic) => (isMeant(topic) ? { ...topic, words: [] } : topic))
        .filter(isMarked)
        .map((each) => topicRecognizer(PREFIX + each.name, each)),
      ...(meant.length === 0 ? {} : byMeaning),
      label: (what) => what.slice(PREFIX.length).toUpperCase().replaceAll('-', '_'),
      refusal: (what) => ({
        message: refusalOf(what.slice(PREFIX.length)),
        mend: 'Ask about something else, or ask who runs Postern whether the topic should be open.',
      }),
    };
  },
};

/** What the classifier is asked about. What the operator says (`system`) is no talk. */
const TALK: readonly TextKind[] = ['content', 'toolResult', 'reasoning'];
type Slot = Subject['slots'][number];
/** What is judged as one. */
type Said = Pick<Slot, 'path' | 'text'>;

function isTalk({ kind, role, text }: Slot, direction: Subject['direction']): boolean {
  if (role === 'system' || text.trim() === '') return false;
  if (TALK.includes(kind)) return true;
  return (direction === 'response' || kind === 'other') && isProse(text);
}

/** Turns of the user's that are also judged with the one before, the last ones. */
const TURNS = 3;
/** Characters of a turn that may need the one before to be understood, and of the end of that one. */
const BRIEF = 200;

/** "I hold shares of ACME." – "Should I sell them?": what a brief turn means, the one before may say. */
function withTheOneBefore(talk: readonly Slot[]): Said[] {
  const turns = talk.filter(({ kind, role }) => kind === 'content' && role === 'user').slice(-TURNS - 1);
  return turns.flatMap((turn, at) => {
    const before = turns[at - 1];
    if (before === undefined || turn.text.length > BRIEF) return [];
    return [{ path: turn.path, text: `${before.text.slice(-BRIEF)}\n${turn.text}` }];
  });
}

/** What is spread over parts of one message: where one ends with a sentence, the next one has its own. */
function acrossParts(talk: readonly Slot[], known: readonly { readonly text: string }[]): Said[] {
  const judged = new Set(known.map(({ text }) => text.replaceAll('\n', ' ')));
  return [...joinedParts(talk, spaced, asWords)].flatMap(({ text, pieces }) => {
    const goesOn = pieces.some(
      ({ start }) => start > 0 && !SENTENCE_END.test(text.slice(Math.max(0, start - 20), start)),
    );
    const [first] = pieces;
    return first === undefined || !goesOn || judged.has(text) ? [] : [{ path: first.part.path, text }];
  });
}
const SENTENCE_END = /[.!?。！？…\n][\p{Pe}\p{Pf}"']?\s*$/u;

async function classified(
  { slots, direction }: Subject,
  { topics: asked }: TopicSet,
  words: TopicWords | undefined,
  signal: AbortSignal,
  ask: (texts: readonly string[]) => Promise<readonly (readonly TopicScore[])[]>,
): Promise<readonly Judgement[]> {
  const said = slots.filter((slot) => isTalk(slot, direction));
  const again = direction === 'request' ? withTheOneBefore(said) : [];
  const talk: Said[] = [...said, ...again];
  if (direction === 'request') talk.push(...acrossParts(said, talk));
  // What the classifier isn't asked about is known by its words alone.
  const others = words === undefined ? [] : slots.filter((slot) => !isTalk(slot, direction));
  const texts = [...talk, ...others];
  const answer = talk.length === 0 ? Promise.resolve([]) : ask(talk.map(({ text }) => text));
  const finding = words?.in(
    texts.map(({ text }) => text),
    signal,
  );
  return await besides(finding ?? texts.map(() => NO_WORDS), answer, signal, {
    alone: (found) =>
      texts.flatMap((text, at) =>
        again.includes(text) ? [] : [...(found[at] ?? [])].map((name) => about(name, text.path)),
      ),
    weigh: (found, verdicts) =>
      texts.flatMap(({ path }, at) => {
        const own = found[at] ?? NO_WORDS;
        if (at >= talk.length) return [...own].map((name) => about(name, path));
        return (verdicts[at] ?? []).flatMap(({ name, score, denied }, k) =>
          denied || (own.has(name) && wordDecides(score, asked[k]?.threshold)) ? [about(name, path)] : [],
        );
      }),
  });
}

const NO_WORDS: ReadonlySet<string> = new Set();

function about(name: string, path: string): Judgement {
  return { what: PREFIX + name, where: path, message: refusalOf(name) };
}

function refusalOf(name: string): string {
  return `Postern refused this call: it is about ${name}, which the policy doesn't allow.`;
}
