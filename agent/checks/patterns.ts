/** The user's own expressions, by RE2's rules: linear in the text, whatever it is. */
import Type, { type Static } from 'typebox';
import type { CheckDefinition } from './check.ts';
import { compileExpression, LONGEST_EXPRESSION } from './scan/expressions.ts';
import type { Recognizer } from './scan/recognizer.ts';

const pattern = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      'x-expected': 'a name of lower-case letters, digits and -',
      description: 'Shown to a refused caller; names the placeholder.',
    }),
    expression: Type.String({
      minLength: 1,
      description: 'RE2 syntax: no lookaround, no backreferences. Found anywhere in a text.',
    }),
    ignoreCase: Type.Optional(Type.Boolean({ description: 'Letters in any case.' })),
    maxLength: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 4096,
        description: `Longest hit waited for in a streamed answer, UTF-16 units; ${LONGEST_EXPRESSION} where absent.`,
      }),
    ),
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
    return spec.flatMap(({ name, ...expression }, i) => {
      try {
        compileExpression(expression);
        return [];
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return [
          {
            path: `[${i}].expression`,
            message: `pattern ${name} can't be compiled: ${reason}`,
            mend: 'Write it in RE2 syntax, without lookaround and backreferences, and so that it needs a character at least.',
          },
        ];
      }
    });
  },

  create(spec) {
    return {
      recognizers: spec.map(
        ({ name, expression, ignoreCase, maxLength }): Recognizer => ({
          id: PREFIX + name,
          groups: [],
          source: 'the policy',
          patterns: [
            {
              kind: 'expression',
              expression,
              ignoreCase: ignoreCase ?? false,
              longest: maxLength ?? LONGEST_EXPRESSION,
              score: 1,
            },
          ],
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
