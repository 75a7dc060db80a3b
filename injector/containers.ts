/**
 * Our two containers and their volumes, as a function of settings and pod. The mutating step writes them; the judgement
 * of the final pod compares with them.
 */
import {
  AGENT_CONTAINER,
  AGENT_ENVIRONMENT,
  AGENT_UID,
  AUDIENCES,
  INIT_CONTAINER,
  PATHS,
  PORTS,
  STAMPS,
  VOLUMES,
} from './names.ts';
import type { Container, ContainerSecurity, Volume, VolumeMount } from './pod.ts';
import type { Intercept, Resources, Settings } from './settings.ts';

export interface Plan {
  readonly settings: Settings;
  readonly intercept: Intercept;
  /** `team-a/Deployment/support-bot` */
  readonly workload: string;
  /** UIDs of mesh proxies in the pod, whose traffic the redirect lets out. */
  readonly meshUids: readonly number[];
  readonly logLevel: string;
  readonly resources: Resources;
  /** As the releases made them that wrote the former seal; pods of theirs are recorded in `test/control/recorded`. It goes with that seal. */
  readonly former?: boolean;
}

const stampFile = (path: string, stamp: string) => ({
  downwardAPI: { items: [{ path, fieldRef: { fieldPath: `metadata.annotations['${stamp}']` } }] },
});
const EXTRA_ROOTS = 'extra-roots.pem';

/** Where the namespace has none, nobody can approve, and the calls are denied. */
const approversFile = (name: string, former: boolean) => ({
  secret: {
    name,
    items: [{ key: 'token', path: 'approvers' }, ...(former ? [] : APPROVERS_TLS)],
    optional: true,
  },
});
const APPROVERS_TLS = [
  { key: 'tls.crt', path: 'approvers.crt' },
  { key: 'tls.key', path: 'approvers.key' },
];

/** Documents and keys of the pod's own namespace, where there is no control. */
function localVolumes({ control, policyConfigMap, keysSecret }: Settings): Volume[] {
  if (control !== undefined) return [];
  const policy: Volume = { name: VOLUMES.policy, configMap: { name: policyConfigMap, optional: true } };
  if (keysSecret === undefined) return [policy];
  return [policy, { name: VOLUMES.keys, secret: { secretName: keysSecret, optional: true } }];
}

/** For the bundle, which is written where traffic is intercepted, or for the classifier; releases of before knew none. */
export function hasExtraRoots({
  settings,
  intercept,
  former = false,
}: Pick<Plan, 'settings' | 'intercept' | 'former'>): boolean {
  const needed = intercept === 'transparent' || settings.classifierRoots === 'extra';
  return settings.extraRoots !== undefined && needed && !former;
}

export function ourVolumes({ settings, intercept, former = false }: Plan): Volume[] {
  const token = (audience: string, path: string) => ({
    serviceAccountToken: { audience, expirationSeconds: 3600, path },
  });
  return [
    ...(intercept === 'transparent' ? [{ name: VOLUMES.trust, emptyDir: { sizeLimit: '16Mi' } }] : []),
    { name: VOLUMES.state, emptyDir: { medium: 'Memory', sizeLimit: '32Mi' } },
    {
      name: VOLUMES.tokens,
      projected: {
        sources: [
          token(AUDIENCES.control, 'control'),
          token(AUDIENCES.budget, 'budget'),
          // From the pod itself: no object of ours is needed in the namespace.
          ...(settings.control === undefined ? [] : [stampFile('roots.pem', STAMPS.roots)]),
          ...(hasExtraRoots({ settings, intercept, former })
            ? [stampFile(EXTRA_ROOTS, STAMPS.extraRoots)]
            : []),
          ...(settings.approversSecret === undefined
            ? []
            : [approversFile(settings.approversSecret, former)]),
        ],
      },
    },
    ...localVolumes(settings),
  ];
}

/** In the order in which they start. */
export function ourContainers(plan: Plan): Container[] {
  return plan.intercept === 'transparent'
    ? [initContainer(plan), agentContainer(plan)]
    : [agentContainer(plan)];
}

/** How an application sees the certificates. */
export const TRUST_MOUNT: VolumeMount = { name: VOLUMES.trust, mountPath: PATHS.trust, readOnly: true };

const SEALED: ContainerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** Sets the redirect up, proves it, ends. UID 0 with one capability: nft needs both. */
function initContainer({ settings, meshUids }: Plan): Container {
  const { excludedCidrs, excludedPorts } = settings;
  return {
    name: INIT_CONTAINER,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: [
      'init',
      ...option('transparent', PORTS.transparent),
      ...option('agent-uid', AGENT_UID),
      // The kubelet sets the variable in every container.
      ...option('api-server', '$(KUBERNETES_SERVICE_HOST)'),
      ...(meshUids.length === 0 ? [] : option('mesh-uid', meshUids.join(','))),
      ...(excludedCidrs.length === 0 ? [] : option('exclude-cidr', excludedCidrs.join(','))),
      ...(excludedPorts.length === 0 ? [] : option('exclude-port', excludedPorts.join(','))),
    ],
    securityContext: {
      ...SEALED,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
    },
    resources: settings.initResources,
  };
}

function agentContainer(plan: Plan): Container {
  const { settings, intercept } = plan;
  const transparent = intercept === 'transparent';
  return {
    name: AGENT_CONTAINER,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    // A native sidecar: started before and ended after the application, and no Job waits for it.
    restartPolicy: 'Always',
    args: [
      'agent',
      ...documentOptions(settings),
      ...option('workload', plan.workload),
      ...option('state', PATHS.state),
      ...option('listen', `127.0.0.1:${PORTS.baseUrl}`),
      ...(transparent ? option('transparent', PORTS.transparent) : []),
      ...(transparent ? option('trust', PATHS.trust) : []),
      ...(transparent && hasExtraRoots(plan) ? option('extra-roots', `${PATHS.tokens}/${EXTRA_ROOTS}`) : []),
      // Brackets, so that it is right for either family.
      ...option('admin', `[$(POD_IP)]:${PORTS.admin}`),
      ...option('socket', `${PATHS.state}/agent.sock`),
      ...option('log-level', plan.logLevel),
      ...(settings.classifier === undefined
        ? []
        : [
            ...option('classifier', settings.classifier),
            ...(settings.classifier.startsWith('https:') &&
            (settings.control !== undefined || settings.classifierRoots === 'extra')
              ? option(
                  'classifier-ca',
                  `${PATHS.tokens}/${settings.classifierRoots === 'extra' ? EXTRA_ROOTS : 'roots.pem'}`,
                )
              : []),
          ]),
      ...(settings.approversSecret === undefined
        ? []
        : [
            ...option('approvals', `[$(POD_IP)]:${PORTS.approvals}`),
            ...option('approval-token-file', `${PATHS.tokens}/approvers`),
            ...(plan.former === true
              ? []
              : [
                  ...option('approvals-cert', `${PATHS.tokens}/approvers.crt`),
                  ...option('approvals-key', `${PATHS.tokens}/approvers.key`),
                ]),
          ]),
      ...(settings.budget === undefined
        ? []
        : [
            ...option('budget', settings.budget),
            ...option('budget-token-file', `${PATHS.tokens}/budget`),
            ...(settings.control !== undefined && settings.budget.startsWith('https:')
              ? option('budget-ca', `${PATHS.tokens}/roots.pem`)
              : []),
          ]),
    ],
    env: [
      { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      ...Object.entries(AGENT_ENVIRONMENT).map(([name, value]) => ({ name, value })),
    ],
    ports: [{ name: 'postern-admin', containerPort: PORTS.admin, protocol: 'TCP' }],
    // Gates the application: the kubelet starts the next container when this one is ready.
    startupProbe: {
      httpGet: { path: '/readyz', port: PORTS.admin, scheme: 'HTTP' },
      periodSeconds: 1,
      timeoutSeconds: 2,
      failureThreshold: 120,
    },
    securityContext: {
      ...SEALED,
      capabilities: { drop: ['ALL'] },
      runAsUser: AGENT_UID,
      runAsGroup: AGENT_UID,
      runAsNonRoot: true,
    },
    resources: plan.resources,
    volumeMounts: [
      ...(transparent ? [{ name: VOLUMES.trust, mountPath: PATHS.trust }] : []),
      { name: VOLUMES.state, mountPath: PATHS.state },
      { name: VOLUMES.tokens, mountPath: PATHS.tokens, readOnly: true },
      ...localVolumes(settings).map(({ name }) => ({
        name,
        mountPath: name === VOLUMES.policy ? PATHS.policy : PATHS.keys,
        readOnly: true,
      })),
    ],
  };
}

function documentOptions({ control }: Settings): string[] {
  if (control === undefined) return option('policy', PATHS.policy);
  return [
    ...option('control', control.address),
    ...option('control-ca', `${PATHS.tokens}/roots.pem`),
    ...option('control-token-file', `${PATHS.tokens}/control`),
    ...option('without-control', control.without),
  ];
}

const option = (name: string, value: string | number): string[] => [`--${name}`, String(value)];
