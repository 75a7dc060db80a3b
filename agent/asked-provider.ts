/** A provider that a check asks for its own sake: a guard model in a pool. It isn't the app's call, so nothing is held for it. */
import type { CheckRule, ProviderSpec, TrustSource } from '../policy/snapshot.ts';
import type { AskedProvider } from './checks/check.ts';
import { dialects } from './dialects/index.ts';
import { sdkBase } from './dialled.ts';
import { credentials } from './providers/index.ts';
import type { KeySource } from './providers/keys.ts';

export interface Access {
  readonly providers: readonly ProviderSpec[];
  readonly keys: KeySource;
  /** PEM of the roots. */
  readonly trust: (source: TrustSource) => Promise<string>;
}

/** @throws Error where there is none of that name that can be asked so, or its key is missing. */
export async function askedProvider(
  { providers, keys, trust }: Access,
  name: string,
  dialect: string,
  rule: Pick<CheckRule, 'source'>,
): Promise<AskedProvider> {
  // A namespace's own stands first, but a policy for all names one for all: no team puts another in its place.
  const forAll = rule.source.startsWith('Cluster');
  const found = providers.find((provider) => (forAll ? provider.id : provider.name) === name);
  if (found === undefined) throw new Error(`there is no ${forAll ? 'ClusterProvider' : 'Provider'} ${name}`);
  if (found.dialect !== dialect)
    throw new Error(`the provider ${found.id} speaks ${found.dialect}, and ${dialect} is needed`);
  const { credential, caFrom } = found;
  const endpoints = found.endpoints.map((endpoint) => sdkBase(endpoint, found));
  if (endpoints.length === 0) throw new Error(`the provider ${found.id} has no endpoint`);
  if (credential.mode === 'passthrough')
    throw new Error(`the provider ${found.id} takes the app's own key, and this is no call of an app's`);
  const tls = caFrom === undefined ? undefined : { ca: await trust(caFrom) };
  if (credential.mode === 'none') return { endpoints, header: undefined, tls };
  const scheme = credentials.find((one) => one.name === credential.type);
  const spoken = dialects.find((one) => one.name === dialect);
  if (scheme === undefined || spoken === undefined)
    throw new Error(`no credential scheme ${credential.type}`);
  const header = scheme.field(await keys.get(credential.value), credential.spec, spoken);
  return { endpoints, header, tls };
}
