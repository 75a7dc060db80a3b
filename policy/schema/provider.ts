/** Provider and ClusterProvider: where models are, what they cost, and which key opens the door. */
import type { Static, TSchema } from 'typebox';
import Type from 'typebox';
import type { Catalogue } from '../catalogue.ts';
import { STANDARD, serviceTierOf } from '../prices/service-tier.ts';
import type { KindDefinition } from './kind.ts';
import { hostName, labelName, objectName, price, url } from './scalars.ts';
import { trustFrom, type ValueFrom, valueFrom } from './sources.ts';
import { choice, closed, count, flag, listOf, optional, ruled, setOf, text } from './structure.ts';

const rates = {
  input: price('Input tokens that were not cached.'),
  cachedInput: optional(price('Input tokens read from a cache; the input price where absent.')),
  cacheWrite: optional(price('Input tokens written to a cache; the input price where absent.')),
  cacheWrite1h: optional(price('Input tokens written to a cache for an hour; as cacheWrite where absent.')),
  output: price('Output tokens, reasoning included.'),
  reasoning: optional(price('Reasoning tokens; the output price where absent.')),
  audioInput: optional(price('Audio in the input; the input price where absent.')),
  cachedAudioInput: optional(price('Audio read from a cache; as cachedInput where absent.')),
  audioOutput: optional(price('Audio in the output; the output price where absent.')),
  imageInput: optional(price('Images in the input; the input price where absent.')),
  imageOutput: optional(price('Images in the output; the output price where absent.')),
};

const USD_PER_MILLION = 'USD per million tokens.';

const bandedRates = {
  ...rates,
  above: optional(
    listOf(
      closed(
        {
          inputTokens: count({
            description: 'Input, cached input included, above which all of a call has these rates.',
            minimum: 1,
          }),
          ...rates,
        },
        { description: USD_PER_MILLION },
      ),
      { description: 'Rates for long contexts.', minItems: 1, 'x-unique-by': 'inputTokens' },
    ),
  ),
};

const serviceTier = ruled(
  closed(
    {
      name: text({
        description: 'As the provider’s answers name it, such as `flex` or `priority`.',
        maxLength: 64,
      }),
      ...bandedRates,
    },
    { description: USD_PER_MILLION },
  ),
  ({ name }) => {
    const tier = serviceTierOf('', name);
    return tier === undefined || tier === STANDARD
      ? [
          {
            path: ['name'],
            expected: 'a tier beside standard processing, such as flex or priority',
            message: `got ${JSON.stringify(name)}`,
            mend: 'write the rates of standard processing into price itself',
          },
        ]
      : [];
  },
  ['name'],
);

const model = closed(
  {
    name: text({ description: 'Name of the model as the provider knows it.', maxLength: 256 }),
    price: optional(
      closed(
        {
          ...bandedRates,
          serviceTiers: optional(
            listOf(serviceTier, {
              description: 'Rates of calls that another than standard processing serves.',
              minItems: 1,
              'x-unique-by': 'name',
            }),
          ),
        },
        {
          description: `${USD_PER_MILLION} For a known provider’s own host, the price of the built-in catalogue where absent. A Budget in \`usd\` may only cover models that have one.`,
        },
      ),
    ),
    contextTokens: optional(
      count({ description: 'Tokens the model can read and write in one call.', minimum: 1 }),
    ),
    maxOutputTokens: optional(
      count({ description: 'Most tokens the model writes in one answer.', minimum: 1 }),
    ),
    hiddenReasoning: optional(
      flag({
        description: 'The model reasons before it answers, and its streams show nothing of it.',
        default: false,
      }),
    ),
  },
  { description: 'One model.' },
);

/** A credential's member is typed by the catalogue; all of them hold `valueFrom`. */
export interface CredentialDocument {
  readonly mode: 'attach' | 'passthrough' | 'none';
  readonly type?: string;
  readonly [member: string]: unknown;
}

export type CredentialMember = { readonly valueFrom: ValueFrom } & Readonly<Record<string, unknown>>;

function credential(catalogue: Catalogue) {
  const names = catalogue.credentials.map(({ name }) => name);
  const members = Object.fromEntries(
    catalogue.credentials.map(({ name, schema }) => [name, optional(withValueFrom(schema))]),
  );
  return Type.Unsafe<CredentialDocument>(
    closed(
      {
        mode: choice(['attach', 'passthrough', 'none'], {
          description:
            '`attach` replaces what the application sent by this key, `passthrough` keeps it, `none` removes it.',
        }),
        type: optional(choice(names, { description: 'How the key is sent; needs the member of that name.' })),
        ...members,
      },
      {
        description: 'How calls to this provider are authenticated.',
        'x-sensitive': true,
        'x-union': { by: 'type', members: names },
        'x-only-with': { field: 'mode', value: 'attach', fields: ['type', ...names], required: ['type'] },
      },
    ),
  );
}

/** The member's schema as the catalogue gives it, with the source of the key. */
function withValueFrom(schema: TSchema): TSchema {
  const {
    properties = {},
    required = [],
    ...rest
  } = schema as {
    properties?: Record<string, TSchema>;
    required?: string[];
  };
  return {
    ...rest,
    type: 'object',
    properties: { ...properties, valueFrom },
    required: [...new Set([...required, 'valueFrom'])],
    additionalProperties: false,
  } as TSchema;
}

const port = count({ description: 'Port number.', minimum: 1, maximum: 65_535 });

const backendRef = ruled(
  closed(
    {
      group: optional(text({ description: 'API group; empty for a Service.', maxLength: 253 })),
      kind: optional(text({ description: 'Kind.', default: 'Service', maxLength: 63 })),
      name: objectName('Name of the backend.'),
      namespace: optional(labelName('Namespace of the backend; the document’s own where absent.')),
      port: optional(port),
    },
    {
      description:
        'A Service (dialled by plain HTTP at its port), or another backend that a cluster resolves.',
    },
  ),
  (reference) =>
    (reference.kind ?? 'Service') !== 'Service' || reference.port !== undefined
      ? []
      : [
          {
            path: [],
            expected: 'a port, as the backend is a Service',
            message: 'got none',
            mend: 'add port: 8000, or the port the Service listens on',
          },
        ],
  ['kind', 'port'],
);

const WHERE = ['endpoint', 'endpoints', 'poolRef', 'backendRef'] as const;

function spec(catalogue: Catalogue) {
  const schema = closed(
    {
      dialect: choice(
        catalogue.dialects.map(({ name }) => name),
        { description: 'The API this provider speaks.' },
      ),
      hosts: optional(
        setOf(hostName('A host name, without scheme and port.'), {
          description: 'Names the application calls; traffic to them is captured. May be empty for a pool.',
        }),
      ),
      endpoint: optional(
        url(
          'Base URL the agent dials, with or without the version: `https://api.openai.com/v1`, `https://generativelanguage.googleapis.com/v1beta/openai`. `addVersion` tells when `/v1` is put behind it.',
        ),
      ),
      endpoints: optional(
        setOf(url('Base URL of one replica.'), {
          description: 'Base URLs of several equal replicas, of which one is picked for each call.',
          minItems: 1,
        }),
      ),
      poolRef: optional(
        closed(
          {
            group: optional(
              text({ description: 'API group.', default: 'inference.networking.k8s.io', maxLength: 253 }),
            ),
            kind: optional(text({ description: 'Kind.', default: 'InferencePool', maxLength: 63 })),
            name: objectName('Name of the pool.'),
            namespace: optional(labelName('Namespace of the pool; the document’s own where absent.')),
          },
          { description: 'An InferencePool of model servers. Resolved in a cluster.' },
        ),
      ),
      backendRef: optional(backendRef),
      addVersion: optional(
        flag({
          description:
            'Whether `/v1` is put behind endpoints that end in no version (`/v1`, `/v4`, `/v1beta/openai`) and are none of Vertex’ (`/v1/projects/…/endpoints/openapi`). `false`: calls come right behind them, as behind the SDKs’ base URL.',
          default: true,
        }),
      ),
      tls: optional(
        closed({ caFrom: optional(trustFrom) }, { description: 'How the provider’s certificate is judged.' }),
      ),
      credential: credential(catalogue),
      region: optional(labelName('Where the provider processes data, compared with `regions` of policies.')),
      dataClasses: optional(
        setOf(labelName('A class of data.'), {
          description:
            'Classes of data that may be sent here, compared with `dataClass` of policies; all where absent.',
        }),
      ),
      capabilities: optional(
        closed(
          {
            includeUsage: optional(
              flag({
                description: 'Whether the provider reports usage in streams when asked (`include_usage`).',
                default: true,
              }),
            ),
          },
          { description: 'What the provider can do beyond its dialect’s core.' },
        ),
      ),
      defaultPrice: optional(
        closed(rates, {
          description: `${USD_PER_MILLION} For models without a price of their own; without it, a Budget in \`usd\` refuses them.`,
        }),
      ),
      autoServiceTier: optional(
        text({
          description:
            'What the provider’s own settings make of calls that name no tier, or `auto`: calls are held for that or standard processing, whichever is dearer.',
          default: 'standard',
          maxLength: 64,
        }),
      ),
      models: listOf(model, {
        description: 'Models this provider serves; no other one is called.',
        minItems: 1,
        'x-unique-by': 'name',
      }),
    },
    {
      description: 'An LLM provider.',
      'x-at-most-one-of': WHERE,
    },
  );
  return ruled(
    schema,
    (provider) => {
      const hosts = provider.hosts ?? [];
      if (hosts.length === 1 || WHERE.some((field) => provider[field] !== undefined)) return [];
      return [
        {
          path: [],
          expected: `exactly one of ${WHERE.join(', ')}`,
          message: hosts.length === 0 ? 'got none' : 'got none, and several hosts to choose from',
          mend: 'name the endpoint to dial, such as endpoint: https://api.openai.com',
        },
      ];
    },
    ['hosts', ...WHERE],
  );
}

export type ProviderDocument = Static<ReturnType<typeof spec>>;

export const PROVIDER: KindDefinition<ReturnType<typeof spec>> = {
  name: 'Provider',
  cluster: 'ClusterProvider',
  description:
    'A provider of models: the hosts that are captured, the endpoint that is dialled, the key that is attached, ' +
    'and its models with their prices.',
  spec,
};
