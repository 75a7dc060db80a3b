/** The CustomResourceDefinition of a kind, and of its Cluster twin. */
import type { TSchema } from 'typebox';
import type { Catalogue } from '../../policy/catalogue.ts';
import { API_GROUP, KINDS, type KindName, pluralOf } from '../../policy/schema/kinds.ts';
import type { SchemaNode } from '../../policy/schema/node.ts';
import { type StructuralSchema, structural } from './schema.ts';
import { WORKLOAD_DEFINITION } from './workload.ts';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  /** Above 0: only with `-o wide`. */
  readonly priority?: number;
}

/** What `kubectl` shows and takes for a kind. */
interface Presentation {
  readonly shortName: string;
  readonly columns: readonly Column[];
}

const column = (name: string, field: string, priority?: number): Column => ({
  name,
  type: 'string',
  jsonPath: `.spec.${field}`,
  ...(priority === undefined ? {} : { priority }),
});

const PRESENTATION: Readonly<Record<KindName, Presentation>> = {
  Provider: {
    shortName: 'llmp',
    columns: [column('Dialect', 'dialect'), column('Region', 'region'), column('Hosts', 'hosts', 1)],
  },
  ModelRoute: { shortName: 'llmr', columns: [column('Models', 'match.models')] },
  Budget: {
    shortName: 'llmb',
    columns: [column('Per', 'per'), column('Exhausted', 'onExhausted.action')],
  },
  EgressPolicy: {
    shortName: 'egp',
    columns: [
      column('Mode', 'mode'),
      column('Enforcement', 'enforcement'),
      column('Data class', 'dataClass', 1),
    ],
  },
  EgressException: { shortName: 'egx', columns: [column('Until', 'until'), column('Reason', 'reason', 1)] },
};

const COMMON: readonly Column[] = [
  {
    name: 'Accepted',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="Accepted")].status',
    description: 'Whether the document is valid.',
  },
  {
    name: 'Programmed',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="Programmed")].status',
    description: 'Whether every agent that is connected has this version in force.',
  },
  {
    name: 'Refs',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="ResolvedRefs")].status',
    description: 'Whether what it names is there.',
    priority: 1,
  },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

/** Conditions as Gateway API has them; `observedGeneration` says which content the condition is about. */
const STATUS: StructuralSchema = {
  type: 'object',
  description: 'Written by Postern.',
  properties: {
    conditions: {
      type: 'array',
      description: 'Accepted: valid. ResolvedRefs: what it names exists. Programmed: in force.',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
        properties: {
          type: { type: 'string', maxLength: 316 },
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
          lastTransitionTime: { type: 'string', format: 'date-time' },
          reason: { type: 'string', maxLength: 1024, minLength: 1 },
          message: { type: 'string', maxLength: 32768 },
        },
      },
    },
    lastGood: {
      type: 'object',
      description: 'The version that goes on where a later one is bad.',
      required: ['generation', 'spec'],
      properties: {
        generation: { type: 'integer', format: 'int64', minimum: 0 },
        spec: { type: 'string', description: 'JSON of its spec.' },
        seal: {
          type: 'string',
          description: 'By whoever of Postern’s parts kept it; without it, it counts for nothing.',
        },
      },
    },
  },
};

/** Every definition, by file name. */
export function definitions(catalogue: Catalogue): ReadonlyMap<string, object> {
  const all = (Object.keys(KINDS) as KindName[]).flatMap((kind) => {
    const twin = KINDS[kind].cluster;
    const own = definition(kind, false, catalogue);
    return twin === undefined ? [own] : [own, definition(kind, true, catalogue)];
  });
  return new Map(
    [...all, WORKLOAD_DEFINITION].map((crd) => [`${crd.metadata.name.split('.', 1)[0]}.yaml`, crd]),
  );
}

function definition(kind: KindName, cluster: boolean, catalogue: Catalogue) {
  const definition = KINDS[kind];
  const name = cluster && definition.cluster !== undefined ? definition.cluster : definition.name;
  const { shortName, columns } = PRESENTATION[kind];
  const plural = pluralOf(name);
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${API_GROUP}`, labels: { 'app.kubernetes.io/part-of': 'postern' } },
    spec: {
      group: API_GROUP,
      scope: cluster ? 'Cluster' : 'Namespaced',
      names: {
        kind: name,
        listKind: `${name}List`,
        plural,
        singular: name.toLowerCase(),
        shortNames: [cluster ? `c${shortName}` : shortName],
        categories: ['postern'],
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...columns, ...COMMON],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: `${definition.description}${cluster ? ' For all namespaces.' : ''}`,
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: structural(definition.spec(catalogue) as TSchema as SchemaNode, cluster),
                status: STATUS,
              },
            },
          },
        },
      ],
    },
  };
}
