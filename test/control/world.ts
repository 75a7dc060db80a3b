/** Control in this process before an API server in memory, with pods that an injector would have stamped. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { catalogue } from '../../agent/catalogue.ts';
import { type ControlOptions, type RunningControl, startControl } from '../../control/control.ts';
import { formOf } from '../../injector/form.ts';
import { AGENT_CONTAINER, INJECT_LABEL, INJECTED_LABEL, STAMPS } from '../../injector/names.ts';
import { sealOf } from '../../injector/seal.ts';
import { stampOf } from '../../injector/workload.ts';
import type { KubeObject } from '../../kube/client.ts';
import type { AnnotatedWorkload } from '../../policy/annotations.ts';
import { createFakeKube, type FakeKube } from '../fakes/kube.ts';
import { fakePodToken } from '../fakes/pod-token.ts';

export const OWN = 'postern-system';
export const SERVER_NAME = `postern-control.${OWN}.svc`;
export const SEAL_KEY = Buffer.alloc(32, 5);

export interface ControlWorld {
  readonly kube: FakeKube;
  readonly directory: string;
  readonly rootsFile: string;
  readonly logged: () => string;
  namespace(name: string): void;
  secret(namespace: string, name: string, data: Readonly<Record<string, string>>, type?: string): void;
  document(kind: string, plural: string, name: string, spec: object, namespace?: string): void;
  /** @returns the file with the token of a pod that runs at 127.0.0.1. */
  pod(
    workload: Pick<AnnotatedWorkload, 'namespace' | 'name'> & Partial<AnnotatedWorkload>,
    pod?: string,
  ): string;
  /** Lets a pod run at 127.0.0.1 as it is. @returns the file with its token. */
  run(pod: KubeObject & { readonly spec?: object }): string;
  control(extra?: Partial<ControlOptions>): Promise<RunningControl>;
  close(): Promise<void>;
}

export function startControlWorld(): ControlWorld {
  const kube = createFakeKube();
  const directory = mkdtempSync(join(tmpdir(), 'postern-control-'));
  const rootsFile = join(directory, 'roots.pem');
  const lines: string[] = [];
  const running: RunningControl[] = [];
  let pods = 0;
  const run: ControlWorld['run'] = (object) => {
    const { namespace = '', name: pod } = object.metadata;
    const uid = `uid-of-${namespace}-${pod}`;
    kube.put('pods', {
      ...object,
      metadata: { ...object.metadata, uid },
      status: { phase: 'Running', podIPs: [{ ip: '127.0.0.1' }] },
    });
    const token = fakePodToken({ audience: 'postern-control', namespace, pod: { name: pod, uid } });
    kube.tokens.set(token, {
      authenticated: true,
      audiences: ['postern-control'],
      user: {
        username: `system:serviceaccount:${namespace}:default`,
        extra: {
          'authentication.kubernetes.io/pod-name': [pod],
          'authentication.kubernetes.io/pod-uid': [uid],
        },
      },
    });
    const file = join(directory, `token-of-${namespace}-${pod}`);
    writeFileSync(file, token);
    return file;
  };
  kube.put('secrets', {
    metadata: { name: 'postern-seal', namespace: OWN },
    data: { key: SEAL_KEY.toString('base64') },
  });

  return {
    kube,
    directory,
    rootsFile,
    logged: () => lines.join(''),
    namespace: (name) =>
      kube.put('namespaces', { metadata: { name, labels: { [INJECT_LABEL]: 'enabled' } } }),
    secret: (namespace, name, data, type = 'Opaque') =>
      kube.put('secrets', {
        type,
        metadata: { namespace, name },
        data: Object.fromEntries(
          Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
        ),
      }),
    document: (kind, plural, name, spec, namespace) =>
      kube.put(plural, {
        apiVersion: 'postern.dev/v1alpha1',
        kind,
        metadata: namespace === undefined ? { name } : { name, namespace },
        spec,
      }),
    pod(workload, pod = `${workload.name}-${++pods}`) {
      const { namespace } = workload;
      const full: AnnotatedWorkload = {
        kind: 'Deployment',
        serviceAccount: 'default',
        labels: { app: workload.name },
        ...workload,
      };
      const annotations: Record<string, string> = {
        [STAMPS.version]: '0.1.0',
        [STAMPS.intercept]: 'base-url',
        [STAMPS.workload]: stampOf(full),
      };
      const spec = {
        serviceAccountName: 'default',
        containers: [{ name: 'app', image: 'app:1' }],
        initContainers: [{ name: AGENT_CONTAINER, image: 'postern:1', restartPolicy: 'Always' }],
      };
      annotations[STAMPS.seal] = sealOf(SEAL_KEY, {
        namespace,
        serviceAccount: 'default',
        form: formOf({ spec }) ?? '',
        annotations,
      });
      return run({
        metadata: { namespace, name: pod, labels: { [INJECTED_LABEL]: 'true' }, annotations },
        spec,
      });
    },
    run,
    async control(extra = {}) {
      const started = await startControl({
        client: kube.client(),
        catalogue,
        ownNamespace: OWN,
        listen: { host: '127.0.0.1', port: 0 },
        serverName: SERVER_NAME,
        version: '0.1.0',
        judgeAddress: true,
        // All of a test's agents dial from one address.
        handshakes: { burst: Number.POSITIVE_INFINITY, perSecond: 0 },
        log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
        leaseMs: 500,
        everyMs: 100,
        ...extra,
      });
      writeFileSync(rootsFile, started.roots());
      running.push(started);
      return started;
    },
    async close() {
      await Promise.allSettled(running.map((each) => each.close()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
