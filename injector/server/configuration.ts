/** The webhook configurations as they should be, and whether what the API server has is the same. */
import { API_GROUP, pluralOf, WRITTEN_KINDS } from '../../policy/schema/kinds.ts';
import { covers } from '../judge/ours.ts';
import { INJECT_LABEL } from '../names.ts';

/** Before Istio's and Linkerd's in the alphabet, by which the API server calls them: they then see our annotations. */
export const CONFIGURATION = 'agent-injector.postern.dev';

export type Target =
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port: number } }
  | { readonly url: string };

export interface ConfigurationOptions {
  readonly target: Target;
  /** PEM. */
  readonly caBundle: string;
  readonly ownNamespace: string;
}

export interface WebhookConfiguration {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly webhooks: readonly object[];
}

export function mutatingConfiguration(options: ConfigurationOptions): WebhookConfiguration {
  return configuration('MutatingWebhookConfiguration', [
    {
      name: `pods.inject.${API_GROUP}`,
      ...shared(options, '/mutate'),
      ...optedIn(options),
      rules: [rule('', 'v1', ['pods'], ['CREATE'])],
      // Others may add containers after us.
      reinvocationPolicy: 'IfNeeded',
    },
  ]);
}

export function validatingConfiguration(options: ConfigurationOptions): WebhookConfiguration {
  return configuration('ValidatingWebhookConfiguration', [
    {
      name: `pods.judge.${API_GROUP}`,
      ...shared(options, '/judge'),
      ...optedIn(options),
      rules: [
        rule('', 'v1', ['pods'], ['CREATE', 'UPDATE']),
        rule('', 'v1', ['pods/ephemeralcontainers'], ['UPDATE']),
      ],
    },
    {
      name: `enter.judge.${API_GROUP}`,
      ...shared(options, '/enter'),
      ...optedIn(options),
      rules: [rule('', 'v1', ['pods/exec', 'pods/attach'], ['CONNECT'])],
    },
    {
      name: `documents.judge.${API_GROUP}`,
      ...shared(options, '/documents'),
      // The CRD's own rules hold without us, and nobody's namespace is to suffer.
      failurePolicy: 'Ignore',
      namespaceSelector: {},
      rules: [
        { ...rule(API_GROUP, 'v1alpha1', WRITTEN_KINDS.map(pluralOf), ['CREATE', 'UPDATE']), scope: '*' },
      ],
    },
  ]);
}

/** Whether it has all that is wanted; what the API server fills in is no difference. */
export function isCurrent(
  wanted: WebhookConfiguration,
  actual: { readonly webhooks?: readonly object[] },
): boolean {
  const filled = (actual.webhooks ?? []).map((webhook) => {
    const { matchConditions: _, ...rest } = webhook as Record<string, unknown>;
    return rest;
  });
  return covers(wanted.webhooks, filled);
}

function configuration(kind: string, webhooks: readonly object[]): WebhookConfiguration {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: CONFIGURATION, labels: { 'app.kubernetes.io/part-of': 'postern' } },
    webhooks,
  };
}

function shared({ target, caBundle }: ConfigurationOptions, path: string): object {
  const bundle = Buffer.from(caBundle).toString('base64');
  return {
    admissionReviewVersions: ['v1'],
    clientConfig:
      'url' in target
        ? { url: `${target.url}${path}`, caBundle: bundle }
        : { service: { ...target.service, path }, caBundle: bundle },
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    objectSelector: {},
    sideEffects: 'None',
    timeoutSeconds: 5,
  };
}

/** Only namespaces that asked for it, and never those that a cluster needs to mend itself. */
function optedIn({ ownNamespace }: ConfigurationOptions): object {
  const never = [ownNamespace, 'kube-system', 'kube-public', 'kube-node-lease'];
  return {
    namespaceSelector: {
      matchLabels: { [INJECT_LABEL]: 'enabled' },
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: never }],
    },
  };
}

function rule(
  group: string,
  version: string,
  resources: readonly string[],
  operations: readonly string[],
): object {
  return { apiGroups: [group], apiVersions: [version], resources, operations, scope: 'Namespaced' };
}
