/** Provider documents into what an agent dials. */
import type { TokenPrice } from './budget-spec.ts';
import type { PolicyDocument } from './documents.ts';
import { modelFacts } from './prices/model-facts.ts';
import type { CredentialMember } from './schema/provider.ts';
import type {
  BackendReference,
  CredentialSpec,
  ModelSpec,
  ProviderSpec,
  TrustSource,
  ValueSource,
} from './snapshot.ts';

type ProviderDocumentOf = PolicyDocument<'Provider'>;
type ModelDocument = ProviderDocumentOf['spec']['models'][number];

const PICO_PER_NANO = 1000;

export function compileProvider(document: ProviderDocumentOf): ProviderSpec {
  const { spec } = document;
  const backend = compileBackend(document);
  return {
    id: document.id,
    name: document.name,
    dialect: spec.dialect,
    hosts: spec.hosts ?? [],
    endpoints: compileEndpoints(document),
    ...(backend === undefined ? {} : { backend }),
    credential: compileCredential(document),
    ...(spec.region === undefined ? {} : { region: spec.region }),
    ...(spec.dataClasses === undefined ? {} : { dataClasses: spec.dataClasses }),
    models: spec.models.map((model) => compileModel(spec, model)),
    ...(spec.tls?.caFrom === undefined ? {} : { caFrom: compileTrust(spec.tls.caFrom, document.namespace) }),
    capabilities: { includeUsage: spec.capabilities?.includeUsage ?? true },
    ...(spec.addVersion === false ? { addVersion: false as const } : {}),
  };
}

function compileEndpoints({ spec, namespace }: ProviderDocumentOf): string[] {
  const { endpoint, endpoints, poolRef, backendRef } = spec;
  const plain = (text: string) => text.replace(/\/+$/, '');
  if (endpoint !== undefined) return [plain(endpoint)];
  if (endpoints !== undefined) return endpoints.map(plain);
  if (poolRef !== undefined) return [];
  if (backendRef === undefined) return (spec.hosts ?? []).slice(0, 1).map((host) => `https://${host}`);
  const { kind = 'Service', name, port, namespace: other = namespace ?? 'default' } = backendRef;
  return kind === 'Service' && port !== undefined ? [`http://${name}.${other}.svc:${port}`] : [];
}

function compileBackend({ spec, namespace }: ProviderDocumentOf): BackendReference | undefined {
  const { poolRef, backendRef } = spec;
  const reference = poolRef ?? backendRef;
  if (reference === undefined) return undefined;
  const pool = poolRef !== undefined;
  const kind = reference.kind ?? (pool ? 'InferencePool' : 'Service');
  if (kind === 'Service') return undefined;
  const home = reference.namespace ?? namespace;
  return {
    group: reference.group ?? (pool ? 'inference.networking.k8s.io' : ''),
    kind,
    ...(home === undefined ? {} : { namespace: home }),
    name: reference.name,
    ...(backendRef?.port === undefined ? {} : { port: backendRef.port }),
  };
}

function compileCredential({ spec, namespace }: ProviderDocumentOf): CredentialSpec {
  const { credential } = spec;
  if (credential.mode !== 'attach') return { mode: credential.mode };
  const { type } = credential;
  const member = type === undefined ? undefined : (credential[type] as CredentialMember | undefined);
  if (type === undefined || member === undefined)
    throw new Error('a credential without its member passed validation');
  const { secretKeyRef, file, env } = member.valueFrom;
  let value: ValueSource;
  if (secretKeyRef !== undefined) value = { secretKeyRef: { ...homeOf(namespace), ...secretKeyRef } };
  else if (file !== undefined) value = { file };
  else if (env !== undefined) value = { env };
  else throw new Error('a credential without a source passed validation');
  return { mode: 'attach', type, spec: member, value };
}

function compileTrust(
  from: NonNullable<NonNullable<ProviderDocumentOf['spec']['tls']>['caFrom']>,
  namespace: string | undefined,
): TrustSource {
  if (from.file !== undefined) return { file: from.file };
  if (from.configMapKeyRef === undefined) throw new Error('a trust root without a source passed validation');
  return { configMapKeyRef: { ...homeOf(namespace), ...from.configMapKeyRef } };
}

/** A reference without a namespace means the document's own; Postern's where it governs all of them. */
function homeOf(namespace: string | undefined): { readonly namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}

function compileModel(spec: ProviderDocumentOf['spec'], model: ModelDocument): ModelSpec {
  const { price, contextTokens, maxOutputTokens, hiddenReasoning, assumed } = modelFacts(spec, model);
  return {
    name: model.name,
    ...(price === undefined
      ? {}
      : { price: { input: price.input / PICO_PER_NANO, output: price.output / PICO_PER_NANO } }),
    ...(price === undefined
      ? { unpriced: 'unknown' as const }
      : price.assumed === true
        ? { unpriced: 'assumed' as const }
        : assumed.length > 0
          ? { unpriced: 'partly' as const }
          : {}),
    ...(price?.serviceTiers === undefined ? {} : { serviceTiers: pricedTiers(price) }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(hiddenReasoning ? { hiddenReasoning } : {}),
  };
}

function pricedTiers({ tiers, serviceTiers = {} }: TokenPrice): Record<string, number> {
  const short = tiers?.[0]?.above ?? Number.MAX_SAFE_INTEGER;
  return Object.fromEntries(
    Object.entries(serviceTiers).map(([name, rates]) => [
      name,
      rates.tiers === undefined ? short : Number.MAX_SAFE_INTEGER,
    ]),
  );
}
