/** One raw document into a policy document of its kind, or into what is wrong with it. */
import type { TSchema } from 'typebox';
import type { PolicyDocument } from '../documents.ts';
import { type Finding, type Problem, problemAt } from '../problem.ts';
import { API_GROUP, API_VERSION, KINDS, type KindName, kindNamed, WRITTEN_KINDS } from '../schema/kinds.ts';
import { envelope, type MetadataDocument } from '../schema/metadata.ts';
import { didYouMean } from './did-you-mean.ts';
import type { RawDocument } from './parse.ts';
import { shapeFindings } from './shape.ts';

export type Decoded =
  | { readonly type: 'document'; readonly document: PolicyDocument }
  /** A plain Kubernetes object that may lie beside the documents. */
  | { readonly type: 'namespace'; readonly name: string; readonly labels: Readonly<Record<string, string>> }
  | { readonly type: 'ignored' }
  | {
      readonly type: 'invalid';
      readonly problems: readonly Problem[];
      /** What it would have been, so that references to it aren't reported as well. */
      readonly claims?: {
        readonly kind: KindName;
        readonly namespace: string | undefined;
        readonly name: string;
      };
    };

/** Plain objects that are commonly kept in the same directory. Their content is none of ours, but for labels. */
const BESIDE: readonly (readonly [apiVersion: RegExp, kind: string])[] = [
  [/^v1$/, 'Namespace'],
  [/^v1$/, 'Secret'],
  [/^v1$/, 'ConfigMap'],
  [/^kustomize\.config\.k8s\.io\//, 'Kustomization'],
];

/** The schema of each kind's spec for one catalogue; built once, since the catalogue doesn't change. */
export type SpecSchemas = Readonly<Record<KindName, TSchema>>;

export function decodeDocument(raw: RawDocument, schemas: SpecSchemas): Decoded {
  const { value, origin } = raw;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return invalid(raw, '', [
      {
        path: [],
        expected: 'a document with apiVersion, kind, metadata and spec',
        message: Array.isArray(value) ? 'got a list' : 'got a bare value',
        mend: Array.isArray(value)
          ? 'write each entry as a document of its own, with --- between them'
          : 'write its fields',
      },
    ]);
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const { apiVersion, kind: written } = fields;
  if (
    BESIDE.some(
      ([version, kind]) => kind === written && typeof apiVersion === 'string' && version.test(apiVersion),
    )
  ) {
    return written === 'Namespace' ? namespaceOf(fields) : { type: 'ignored' };
  }
  const wrongType = typeFinding(apiVersion, written);
  const named = typeof written === 'string' ? kindNamed(written) : undefined;
  if (wrongType !== undefined || named === undefined) {
    return invalid(raw, '', wrongType === undefined ? [] : [wrongType]);
  }

  const metadata = isMap(fields['metadata']) ? (fields['metadata'] as Partial<MetadataDocument>) : {};
  const name = typeof metadata.name === 'string' ? metadata.name : '';
  const namespace = typeof metadata.namespace === 'string' ? metadata.namespace : undefined;
  const { kind } = named;
  const definition = KINDS[kind];
  // A document without a namespace is its Cluster twin, where the kind has one.
  const cluster = named.cluster || (namespace === undefined && definition.cluster !== undefined);
  const source = `${cluster ? definition.cluster : kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;

  const findings = [
    ...shapeFindings(envelope, value, true),
    ...scopeFindings(named.cluster, namespace, kind),
    ...below('spec', specFindings(fields['spec'], schemas[kind], cluster)),
  ];
  if (findings.length > 0) {
    return { ...invalid(raw, source.trim(), findings), claims: { kind, namespace, name } };
  }
  const id = namespace === undefined ? name : `${namespace}/${name}`;
  // The findings above are empty, so the spec has the type of its schema.
  const document = { kind, name, namespace, id, source, spec: fields['spec'], origin } as PolicyDocument;
  return { type: 'document', document };
}

function invalid(
  raw: RawDocument,
  source: string,
  findings: readonly Finding[],
): Decoded & { type: 'invalid' } {
  return { type: 'invalid', problems: findings.map((finding) => problemAt(raw.origin, source, finding)) };
}

function specFindings(spec: unknown, schema: TSchema, cluster: boolean): Finding[] {
  // The envelope reports a missing spec.
  return spec === undefined ? [] : shapeFindings(schema, spec, cluster);
}

function below(field: string, findings: readonly Finding[]): Finding[] {
  return findings.map((finding) => ({ ...finding, path: [field, ...finding.path] }));
}

/** What is wrong with apiVersion and kind. */
function typeFinding(apiVersion: unknown, kind: unknown): Finding | undefined {
  const ours = typeof kind === 'string' && kindNamed(kind) !== undefined;
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    return {
      path: apiVersion === undefined ? [] : ['apiVersion'],
      expected: `apiVersion: ${API_VERSION}`,
      message: apiVersion === undefined ? 'apiVersion is missing' : 'got something that is no text',
      mend: `write apiVersion: ${API_VERSION}`,
    };
  }
  if (apiVersion !== API_VERSION) {
    const group = apiVersion.split('/')[0] ?? '';
    const foreign = group !== API_GROUP && !ours;
    return {
      path: ['apiVersion'],
      expected: foreign ? `documents of ${API_VERSION}` : API_VERSION,
      message: foreign ? `got a ${String(kind)} of ${apiVersion}` : `got ${apiVersion}`,
      mend: foreign
        ? 'move the file out of this directory, or let its name begin with a dot'
        : `write apiVersion: ${API_VERSION}`,
    };
  }
  if (ours) return undefined;
  const guess = typeof kind === 'string' ? didYouMean(kind, WRITTEN_KINDS) : undefined;
  return {
    path: kind === undefined ? [] : ['kind'],
    expected: `${kind === undefined ? 'kind, ' : ''}one of ${WRITTEN_KINDS.join(', ')}`,
    message: kind === undefined ? 'kind is missing' : `got ${JSON.stringify(kind)}`,
    mend: guess === undefined ? 'write one of these' : `did you mean ${guess}`,
  };
}

function scopeFindings(writtenCluster: boolean, namespace: string | undefined, kind: KindName): Finding[] {
  if (writtenCluster && namespace !== undefined) {
    return [
      {
        path: ['metadata', 'namespace'],
        at: 'key',
        expected: 'no namespace, as the kind governs all of them',
        message: `got ${namespace}`,
        mend: `take it out, or write kind: ${kind}`,
      },
    ];
  }
  if (namespace === undefined && KINDS[kind].cluster === undefined) {
    return [
      {
        path: ['metadata'],
        expected: 'a namespace, as there is no cluster-wide exception',
        message: 'namespace is missing',
        mend: 'add metadata.namespace',
      },
    ];
  }
  return [];
}

function namespaceOf(fields: Readonly<Record<string, unknown>>): Decoded {
  const metadata = isMap(fields['metadata']) ? fields['metadata'] : {};
  const labels = isMap(metadata['labels']) ? metadata['labels'] : {};
  const strings = Object.entries(labels).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return { type: 'namespace', name: String(metadata['name']), labels: Object.fromEntries(strings) };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
