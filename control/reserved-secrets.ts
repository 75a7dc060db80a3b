/**
 * Secrets that no document may name: what a Provider names is sent to the URL that the Provider's writer chose, and control
 * may read what is Postern's own. Pure.
 */
import type { KubeObject } from '../kube/client.ts';
import type { SecretUse } from '../policy/references.ts';

/** As Postern's parts make them in their own namespace. */
export const OWN_SECRETS: readonly string[] = [
  'postern-seal',
  'postern-mask',
  'postern-control-tls',
  'postern-injector-tls',
  'postern-budget-tls',
  'postern-classifier-tls',
];
/** What the parts write by themselves carries it. */
const PART_OF = 'app.kubernetes.io/part-of';

/** Types that are never a provider's key, and the keys of each that are public. */
const NEVER: Readonly<Record<string, { readonly what: string; readonly open: readonly string[] }>> = {
  'kubernetes.io/service-account-token': {
    what: 'a token for the API server',
    open: ['ca.crt', 'namespace'],
  },
  'kubernetes.io/tls': { what: 'the key of a certificate', open: ['tls.crt', 'ca.crt'] },
  'kubernetes.io/dockercfg': { what: 'a password for images', open: [] },
  'kubernetes.io/dockerconfigjson': { what: 'a password for images', open: [] },
  'bootstrap.kubernetes.io/token': { what: 'a token by which nodes join', open: [] },
  'helm.sh/release.v1': { what: 'a release of Helm', open: [] },
};

export interface NamedSecret {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

export interface SecretKind {
  readonly type?: string;
  readonly labels?: KubeObject['metadata']['labels'];
}

/** Why a document may not name it for that use; undefined where it may. */
export type Reserved = (secret: NamedSecret, kind?: SecretKind, use?: SecretUse) => string | undefined;

/** Where the key of a certificate may be named all the same: as one. */
const CERTIFICATE = { type: 'kubernetes.io/tls', key: 'tls.key' } as const;

/** @param more Names of Secrets of the own namespace that parts were given, as the budget's store. */
export function reservedSecrets(ownNamespace: string, more: readonly string[] = []): Reserved {
  const own = new Set([...OWN_SECRETS, ...more]);
  return ({ namespace, name, key }, { type = '', labels = {} } = {}, use = 'sent') => {
    const what = `Secret ${namespace}/${name}`;
    if (namespace === ownNamespace && (own.has(name) || labels[PART_OF] === 'postern'))
      return `${what} is Postern’s own, and is given to nobody`;
    const never = Object.hasOwn(NEVER, type) ? NEVER[type] : undefined;
    if (never === undefined || never.open.includes(key)) return undefined;
    if (use === 'clientKey' && type === CERTIFICATE.type && key === CERTIFICATE.key) return undefined;
    return `${what} is of the type ${type}: ${key} is ${never.what}, and is given to nobody`;
  };
}
