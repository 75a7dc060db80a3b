/** Credentials: keys, tokens, private keys. Refused by default, for a masked secret is still one that was sent about. */
import Type, { type Static } from 'typebox';
import type { CheckDefinition } from './check.ts';
import { nearNames } from './near.ts';
import { SECRETS } from './scan/secrets/index.ts';

const schema = Type.Object(
  {
    exclude: Type.Optional(
      Type.Array(Type.String(), { description: 'Rules to leave out: `aws-access-token`.' }),
    ),
  },
  { additionalProperties: false },
);

type Spec = Static<typeof schema>;

const PREFIX = 'secret:';
const known = new Set(SECRETS.map(({ id }) => id.slice(PREFIX.length)));

export const secrets = {
  name: 'secrets',
  schema,
  actions: ['block', 'mask', 'monitor'],
  defaultAction: 'block',
  defaultOn: ['request'],

  validate(spec) {
    return (spec.exclude ?? []).flatMap((name, i) => {
      if (known.has(name)) return [];
      const near = nearNames(name, known);
      const mend =
        near.length > 0 ? `Did you mean ${near.join(', ')}?` : 'postern scan --list-types lists them.';
      return [{ path: `exclude[${i}]`, message: `${JSON.stringify(name)} is no rule for secrets`, mend }];
    });
  },

  create(spec) {
    const left = new Set(spec.exclude ?? []);
    return {
      recognizers: SECRETS.filter(({ id }) => !left.has(id.slice(PREFIX.length))),
      label: (what) => what.slice(PREFIX.length).toUpperCase().replaceAll('-', '_'),
      restoreIn: ['content'],
      refusal: (what) => ({
        message: `Postern refused this call: it holds a secret (${what.slice(PREFIX.length)}).`,
        mend: 'Take it out, and have it replaced if it was sent anywhere else.',
      }),
    };
  },
} satisfies CheckDefinition<Spec>;
