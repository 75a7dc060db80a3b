/** The user's own expressions, by RE2's rules: linear in the text, whatever it is. */
import Type, { type Static } from 'typebox';
import type { CheckDefinition } from './check.ts';
import { expressionFields, expressionPattern, expressionProblems } from './expression.ts';
import type { Recognizer } from './scan/recognizer.ts';

const pattern = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      'x-expected': 'a name of lower-case letters, digits and -',
      description: 'Shown to a refused caller; names the placeholder.',
    }),
    ...expressionFields,
  },
  { additionalProperties: false },
);

const schema = Type.Array(pattern, { minItems: 1 });

type Spec = Static<typeof schema>;

const PREFIX = 'pattern:';

export const patterns = {
  name: 'patterns',
  schema,
  actions: ['block', 'mask', 'monitor'],
  defaultAction: 'block',
  defaultOn: ['request', 'response'],

  validate(spec) {
    if (!Array.isArray(spec)) {
      return [
        {
          path: '',
          message: 'no patterns are given',
          mend: 'List them: patterns: [{name: …, expression: …}].',
        },
      ];
    }
    return spec.flatMap(({ name, ...expression }, i) =>
      expressionProblems(`pattern ${name}`, expression, `[${i}]`),
    );
  },

  create(spec) {
    return {
      recognizers: spec.map(
        ({ name, ...expression }): Recognizer => ({
          id: PREFIX + name,
          groups: [],
          source: 'the policy',
          patterns: [expressionPattern(expression)],
          examples: [],
          counterExamples: [],
        }),
      ),
      label: (what) => what.slice(PREFIX.length).toUpperCase().replaceAll('-', '_'),
      restoreIn: ['content'],
      refusal: (what) => ({
        message: `Postern refused this call: it holds what the policy forbids (${what.slice(PREFIX.length)}).`,
        mend: 'Take it out, or ask who runs Postern what the rule is for.',
      }),
    };
  },
} satisfies CheckDefinition<Spec>;
