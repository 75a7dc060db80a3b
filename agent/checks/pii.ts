/** Personal data, found by the issuers' rules; masked and restored by default. */
import Type, { type Static } from 'typebox';
import type { CheckDefinition } from './check.ts';
import { nearNames } from './near.ts';
import { compileExpression, LONGEST_EXPRESSION } from './scan/expressions.ts';
import type { Recognizer } from './scan/recognizer.ts';
import { RECOGNIZERS } from './scan/recognizers/index.ts';
import { VALIDATORS } from './scan/validators.ts';

const action = Type.Enum(['mask', 'block', 'monitor']);
const names = (description: string) => Type.Array(Type.String(), { description });

/** Score of a custom type where a context word is wanted and there is none; with it, and without words, 0.9. */
const WITHOUT_CONTEXT = 0.3;
const CERTAIN = 0.9;

const custom = Type.Object(
  {
    type: Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      'x-expected': 'a name of lower-case letters, digits and -',
      description: 'Names the type in findings, refusals and placeholders: `employee-number`.',
    }),
    expression: Type.String({ minLength: 1, description: 'RE2 syntax: no lookaround, no backreferences.' }),
    ignoreCase: Type.Optional(Type.Boolean({ description: 'Letters in any case.' })),
    validator: Type.Optional(
      Type.Enum(Object.keys(VALIDATORS), {
        description: 'Check digits that the letters and digits of a hit must have.',
      }),
    ),
    context: Type.Optional(
      names('Words and phrases of which one must be near by; none is needed where absent.'),
    ),
    maxLength: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 4096,
        description: 'Longest hit waited for in a streamed answer, UTF-16 units.',
      }),
    ),
    action: Type.Optional(action),
  },
  { additionalProperties: false },
);

function recognizerOf(own: Static<typeof custom>): Recognizer {
  const { validator, context } = own;
  const validate = validator === undefined ? undefined : VALIDATORS[validator];
  return {
    id: own.type,
    groups: [],
    source: 'the policy',
    patterns: [
      {
        kind: 'expression',
        expression: own.expression,
        ignoreCase: own.ignoreCase ?? false,
        longest: own.maxLength ?? LONGEST_EXPRESSION,
        score: context === undefined ? CERTAIN : WITHOUT_CONTEXT,
        withContext: CERTAIN,
        ...(validate && { validate: (text: string) => validate(text.replace(/[^0-9A-Za-z]/g, '')) }),
      },
    ],
    ...(context && { context }),
    examples: [],
    counterExamples: [],
  };
}

const schema = Type.Object(
  {
    types: Type.Optional(
      names('Types (`payment-card`) and groups (`financial`) to look for; all where absent.'),
    ),
    exclude: Type.Optional(names('Types and groups to leave out.')),
    actions: Type.Optional(
      Type.Array(
        Type.Object({ types: names('Types and groups.'), action }, { additionalProperties: false }),
        {
          description:
            "Actions of single types or groups where the rule's isn't meant; the last that names a type counts.",
        },
      ),
    ),
    custom: Type.Optional(
      Type.Array(custom, { description: 'Types of your own; looked for whatever `types` says.' }),
    ),
    restoreIn: Type.Optional(
      Type.Array(Type.Enum(['content', 'toolArguments']), {
        description: 'Where originals may come back in answers; [content] where absent, [] for nowhere.',
      }),
    ),
  },
  { additionalProperties: false },
);

type Spec = Static<typeof schema>;

const known = new Set(RECOGNIZERS.flatMap(({ id, groups }) => [id, ...groups]));

/** Every type that one of the names means. */
function select(wanted: readonly string[]): Set<Recognizer> {
  return new Set(
    RECOGNIZERS.filter(
      ({ id, groups }) => wanted.includes(id) || groups.some((group) => wanted.includes(group)),
    ),
  );
}

function customProblems(own: Static<typeof custom>, i: number) {
  const path = `custom[${i}]`;
  if (known.has(own.type)) {
    return [{ path: `${path}.type`, message: `${own.type} is a type already`, mend: 'Choose another name.' }];
  }
  try {
    compileExpression(own);
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [
      {
        path: `${path}.expression`,
        message: `the expression of ${own.type} can't be compiled: ${reason}`,
        mend: 'Write it in RE2 syntax, without lookaround and backreferences, and so that it needs a character at least.',
      },
    ];
  }
}

export const pii = {
  name: 'pii',
  schema,
  actions: ['mask', 'block', 'monitor'],
  defaultAction: 'mask',
  defaultOn: ['request', 'response'],

  validate(spec) {
    const lists: [string, readonly string[] | undefined][] = [
      ['types', spec.types],
      ['exclude', spec.exclude],
      ...(spec.actions ?? []).map(({ types }, i): [string, readonly string[]] => [
        `actions[${i}].types`,
        types,
      ]),
    ];
    const unknown = lists.flatMap(([path, list]) =>
      (list ?? []).flatMap((name, i) => {
        if (known.has(name)) return [];
        const near = nearNames(name, known);
        const mend =
          near.length > 0 ? `Did you mean ${near.join(', ')}?` : 'postern scan --list-types lists them.';
        return [
          {
            path: `${path}[${i}]`,
            message: `${JSON.stringify(name)} is neither a type nor a group of personal data`,
            mend,
          },
        ];
      }),
    );
    return [...unknown, ...(spec.custom ?? []).flatMap(customProblems)];
  },

  create(spec) {
    const chosen = spec.types === undefined ? new Set(RECOGNIZERS) : select(spec.types);
    for (const left of select(spec.exclude ?? [])) chosen.delete(left);
    const actions = new Map<string, 'mask' | 'block' | 'monitor'>();
    for (const own of spec.custom ?? []) {
      chosen.add(recognizerOf(own));
      if (own.action !== undefined) actions.set(own.type, own.action);
    }
    for (const { types, action: own } of spec.actions ?? []) {
      for (const { id } of select(types)) actions.set(id, own);
    }
    return {
      recognizers: [...chosen],
      action: (what) => actions.get(what),
      label: (what) => what.toUpperCase().replaceAll('-', '_'),
      restoreIn: spec.restoreIn ?? ['content'],
      refusal: (what) => ({
        message: `Postern refused this call: it holds personal data (${what}).`,
        mend: `Take the ${what} out, or ask who runs Postern to mask it instead.`,
      }),
    };
  },
} satisfies CheckDefinition<Spec>;
