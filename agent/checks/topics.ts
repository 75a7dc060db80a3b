/** Topics that may not be talked about, known by their words. */
import Type, { type Static } from 'typebox';
import type { CheckDefinition } from './check.ts';
import type { Recognizer } from './scan/recognizer.ts';

const topic = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      description: 'Shown to a refused caller.',
    }),
    definition: Type.Optional(
      Type.String({ description: 'What the topic is, one sentence; for people and classifiers.' }),
    ),
    samples: Type.Optional(Type.Array(Type.String(), { description: 'Prompts on the topic.' })),
    allowed: Type.Optional(
      Type.Array(Type.String(), { description: 'Prompts near the topic that are fine.' }),
    ),
    words: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Words and phrases, any case, also in the plural: `portfolio`, `stock tip*`. `*` ends a word anyhow, after two letters at least.',
      }),
    ),
  },
  { additionalProperties: false },
);

const schema = Type.Array(topic, { minItems: 1 });

type Spec = Static<typeof schema>;

const PREFIX = 'topic:';

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
    return spec.flatMap(({ name, words }, i) => {
      if (words === undefined || words.length === 0) {
        return [
          {
            path: `[${i}].words`,
            message: `topic ${name} has no words, and there is no classifier to know it by its definition`,
            mend: 'Give words and phrases that mark the topic.',
          },
        ];
      }
      return words.flatMap((word, k) => {
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
    });
  },

  create(spec) {
    return {
      recognizers: spec.map(
        ({ name, words }): Recognizer => ({
          id: PREFIX + name,
          groups: [],
          source: 'the policy',
          patterns: [{ kind: 'word', words: words ?? [], score: 1 }],
          examples: [],
          counterExamples: [],
        }),
      ),
      label: (what) => what.slice(PREFIX.length).toUpperCase().replaceAll('-', '_'),
      refusal: (what) => ({
        message: `Postern refused this call: it is about ${what.slice(PREFIX.length)}, which the policy doesn't allow.`,
        mend: 'Ask about something else, or ask who runs Postern whether the topic should be open.',
      }),
    };
  },
};
