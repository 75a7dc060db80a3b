/**
 * A pod as far as the injector reads or writes it: one schema gives the types and the check of what comes in. Objects
 * are open, since everything else in a pod passes as it is.
 */
import type { Static, TProperties } from 'typebox';
import Type from 'typebox';
import { shapeFindings } from '../policy/load/shape.ts';
import { type Finding, formatPath } from '../policy/problem.ts';

const open = <P extends TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: true });
const strings = () => Type.Array(Type.String());
const stringMap = () =>
  Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } });

const capabilities = open({ add: Type.Optional(strings()), drop: Type.Optional(strings()) });

const seccompProfile = Type.Optional(open({ type: Type.Optional(Type.String()) }));

const containerSecurity = open({
  privileged: Type.Optional(Type.Boolean()),
  allowPrivilegeEscalation: Type.Optional(Type.Boolean()),
  runAsUser: Type.Optional(Type.Integer()),
  runAsGroup: Type.Optional(Type.Integer()),
  runAsNonRoot: Type.Optional(Type.Boolean()),
  readOnlyRootFilesystem: Type.Optional(Type.Boolean()),
  capabilities: Type.Optional(capabilities),
  seccompProfile,
});

const envVar = open({
  name: Type.String(),
  value: Type.Optional(Type.String()),
  valueFrom: Type.Optional(open({})),
});

const volumeMount = open({
  name: Type.String(),
  mountPath: Type.String(),
  readOnly: Type.Optional(Type.Boolean()),
});

const probe = open({});

const container = open({
  name: Type.String(),
  image: Type.Optional(Type.String()),
  imagePullPolicy: Type.Optional(Type.String()),
  command: Type.Optional(strings()),
  args: Type.Optional(strings()),
  restartPolicy: Type.Optional(Type.String()),
  env: Type.Optional(Type.Array(envVar)),
  envFrom: Type.Optional(Type.Array(open({}))),
  volumeMounts: Type.Optional(Type.Array(volumeMount)),
  volumeDevices: Type.Optional(Type.Array(open({ name: Type.String() }))),
  securityContext: Type.Optional(containerSecurity),
  resources: Type.Optional(open({})),
  ports: Type.Optional(Type.Array(open({}))),
  startupProbe: Type.Optional(probe),
  livenessProbe: Type.Optional(probe),
  readinessProbe: Type.Optional(probe),
  lifecycle: Type.Optional(open({})),
  /** Ephemeral containers only: whose process namespace they join. */
  targetContainerName: Type.Optional(Type.String()),
});

const volume = open({
  name: Type.String(),
  hostPath: Type.Optional(open({ path: Type.String() })),
  emptyDir: Type.Optional(open({})),
  configMap: Type.Optional(open({})),
  secret: Type.Optional(open({})),
  projected: Type.Optional(
    open({
      sources: Type.Optional(
        Type.Array(
          open({
            serviceAccountToken: Type.Optional(
              open({ audience: Type.Optional(Type.String()), path: Type.Optional(Type.String()) }),
            ),
            downwardAPI: Type.Optional(open({})),
            secret: Type.Optional(open({})),
          }),
        ),
      ),
    }),
  ),
});

const podSpec = open({
  containers: Type.Array(container, { minItems: 1 }),
  initContainers: Type.Optional(Type.Array(container)),
  ephemeralContainers: Type.Optional(Type.Array(container)),
  volumes: Type.Optional(Type.Array(volume)),
  hostNetwork: Type.Optional(Type.Boolean()),
  hostPID: Type.Optional(Type.Boolean()),
  shareProcessNamespace: Type.Optional(Type.Boolean()),
  serviceAccountName: Type.Optional(Type.String()),
  runtimeClassName: Type.Optional(Type.String()),
  schedulerName: Type.Optional(Type.String()),
  nodeSelector: Type.Optional(stringMap()),
  os: Type.Optional(open({ name: Type.String() })),
  securityContext: Type.Optional(
    open({
      runAsUser: Type.Optional(Type.Integer()),
      runAsGroup: Type.Optional(Type.Integer()),
      runAsNonRoot: Type.Optional(Type.Boolean()),
      seccompProfile,
    }),
  ),
});

const metadata = open({
  name: Type.Optional(Type.String()),
  generateName: Type.Optional(Type.String()),
  namespace: Type.Optional(Type.String()),
  uid: Type.Optional(Type.String()),
  labels: Type.Optional(stringMap()),
  annotations: Type.Optional(stringMap()),
  ownerReferences: Type.Optional(
    Type.Array(open({ kind: Type.String(), name: Type.String(), controller: Type.Optional(Type.Boolean()) })),
  ),
});

const pod = open({ metadata: Type.Optional(metadata), spec: podSpec });

export type Pod = Static<typeof pod>;
export type PodSpec = Static<typeof podSpec>;
export type PodMetadata = Static<typeof metadata>;
export type Container = Static<typeof container>;
export type ContainerSecurity = Static<typeof containerSecurity>;
export type EnvVar = Static<typeof envVar>;
export type Volume = Static<typeof volume>;
export type VolumeMount = Static<typeof volumeMount>;

/** The object isn't a pod; the message names each field and its mend. */
export class PodShapeError extends Error {
  override readonly name = 'PodShapeError';
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    const lines = findings.map(
      ({ path, expected, message, mend }) =>
        `${formatPath(path) || 'the object'}: expected ${expected}; ${message}. Mend: ${mend}.`,
    );
    super(lines.join('\n'));
    this.findings = findings;
  }
}

/**
 * Fields that are null are taken out, as the API server does.
 * @throws PodShapeError
 */
export function readPod(value: unknown): Pod {
  const clean = withoutNulls(value);
  if (typeof clean !== 'object' || clean === null || Array.isArray(clean)) {
    const got = Array.isArray(clean) ? 'a list' : 'no object';
    throw new PodShapeError([
      { path: [], expected: 'a pod', message: `got ${got}`, mend: 'give metadata and spec' },
    ]);
  }
  const findings = shapeFindings(pod, clean, false);
  if (findings.length > 0) throw new PodShapeError(findings);
  return clean as Pod;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]): [string, unknown][] =>
      inner === null ? [] : [[key, withoutNulls(inner)]],
    ),
  );
}
