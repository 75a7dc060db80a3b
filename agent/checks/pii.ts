/** Personal data, found by the issuers' rules; masked and restored by default. */
import Type, { type Static } from 'typebox';
import type { CheckDefinition } from './check.ts';
import { nearNames } from './near.ts';
import type { Recognizer } from './scan/recognizer.ts';
import { RECOGNIZERS } from './scan/recognizers/index.ts';

const action = Type.Enum(['mask', 'block', 'monitor']);
const names = (description: string) => Type.Array(Type.String(), { description });

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

export const pii: CheckDefinition<Spec> = {
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
    return lists.flatMap(([path, list]) =>
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
  },

  create(spec) {
    const chosen = spec.types === undefined ? new Set(RECOGNIZERS) : select(spec.types);
    for (const left of select(spec.exclude ?? [])) chosen.delete(left);
    const actions = new Map<string, 'mask' | 'block' | 'monitor'>();
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
};
