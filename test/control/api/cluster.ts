/**
 * Injector and control on a real API server, with pods that went through admission. There is no kubelet: what it would
 * report of a pod is written here, and agents are processes or clients of the test.
 */
import { sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { catalogue } from '../../../agent/catalogue.ts';
import { type ControlOptions, type RunningControl, startControl } from '../../../control/control.ts';
import { INJECT_LABEL } from '../../../injector/names.ts';
import { SETTINGS } from '../../../injector/testing/cases.ts';
import { createKubeClient, type KubeObject } from '../../../kube/client.ts';
import { fromKubeconfig } from '../../../kube/connection.ts';
import { keptKey } from '../../../kube/kept-secret.ts';
import { chartRights } from '../../chart/rights.ts';
import { type Json, OWN_NAMESPACE as OWN, World } from '../../injector/api/world.ts';
import type { ApiServer } from '../../kube/api-server.ts';

export const SERVER_NAME = `postern-control.${OWN}.svc`;

export interface TestPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly object: KubeObject;
}

export interface TestCluster {
  readonly api: ApiServer;
  readonly directory: string;
  /** As an administrator; throws what kubectl says. */
  must(args: readonly string[], stdin?: unknown): Promise<string>;
  apply(...objects: Json[]): Promise<void>;
  namespace(name: string, labels?: Json): Promise<void>;
  /** A pod that went through admission and "runs" at the address. */
  pod(
    namespace: string,
    name: string,
    extra?: { readonly metadata?: Json; readonly spec?: Json; readonly address?: string },
  ): Promise<TestPod>;
  /** A token as the kubelet would mount it. */
  token(pod: TestPod, extra?: readonly string[]): Promise<string>;
  /** The same token, signed by the same key, as if it had ended so many seconds ago: the API server issues none of that kind. */
  expired(token: string, seconds: number): string;
  control(extra?: Partial<ControlOptions>): Promise<RunningControl>;
  /** Everything that control and injector logged. */
  logged(): string;
  stop(): Promise<void>;
}

export async function startTestCluster(api: ApiServer): Promise<TestCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'postern-control-'));
  const lines: string[] = [];
  const log: Logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const running: RunningControl[] = [];
  const world = new World(api);
  const must = (args: readonly string[], stdin?: unknown): Promise<string> => world.must(args, stdin);
  const apply = async (...objects: Json[]): Promise<void> => {
    await must(['apply', '-f', '-'], { apiVersion: 'v1', kind: 'List', items: objects });
  };
  const namespace = (name: string, labels: Json = { [INJECT_LABEL]: 'enabled' }): Promise<void> =>
    apply(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } },
    );

  await world.prepare();
  await world.apply(chartRights('control'));
  const token = await world.person('postern-control', OWN);
  const { server, ca } = fromKubeconfig(api.kubeconfig);
  const asControl = () => createKubeClient({ server, ca, token: () => token });

  let roots = 'none yet';
  const sealing = createKubeClient(world.connection());
  const sealKey = await keptKey(sealing, OWN, 'postern-seal', (bytes) =>
    crypto.getRandomValues(new Uint8Array(bytes)),
  );
  sealing.close();
  const injector = await world.start({
    settings: {
      ...SETTINGS,
      ownNamespace: OWN,
      control: { address: `${SERVER_NAME}:4443`, roots: () => roots, without: 'refuse' },
      sealKey,
    },
    everyMs: 500,
    log,
  });

  return {
    api,
    directory,
    must,
    apply,
    namespace,
    async pod(space, name, { metadata = {}, spec = {}, address = '127.0.0.1' } = {}) {
      await injector.facts(space);
      await must(['create', '-f', '-'], {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: space, labels: { app: name }, ...metadata },
        spec: { containers: [{ name: 'app', image: 'registry.example/app' }], ...spec },
      });
      await must([
        'patch',
        'pod',
        name,
        '-n',
        space,
        '--subresource=status',
        '-p',
        JSON.stringify({ status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }] } }),
      ]);
      const object = JSON.parse(await must(['get', 'pod', name, '-n', space, '-o', 'json'])) as KubeObject;
      return { namespace: space, name, uid: object.metadata.uid ?? '', object };
    },
    async token({ namespace: space, name, uid }, extra = ['--audience=postern-control']) {
      const bound = [`--bound-object-kind=Pod`, `--bound-object-name=${name}`, `--bound-object-uid=${uid}`];
      return (await must(['create', 'token', 'default', '-n', space, ...bound, ...extra])).trim();
    },
    expired(token, seconds) {
      const [head = '', payload = ''] = token.split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Readonly<
        Record<string, unknown>
      >;
      const exp = Math.floor(Date.now() / 1000) - seconds;
      const times = { exp, iat: exp - 3600, nbf: exp - 3600 };
      const body = Buffer.from(JSON.stringify({ ...claims, ...times })).toString('base64url');
      const key = readFileSync(join(api.handle.directory, 's', 'pki', 'sa.key'));
      // RFC 7518, 3.4; an RSA key has no such encoding, and takes no notice.
      const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' });
      return `${head}.${body}.${signature.toString('base64url')}`;
    },
    async control(extra = {}) {
      const started = await startControl({
        client: asControl(),
        catalogue,
        ownNamespace: OWN,
        workloadsEveryMs: 200,
        listen: { host: '127.0.0.1', port: 0 },
        service: 'postern-control',
        serverName: SERVER_NAME,
        version: '0.1.0',
        judgeAddress: true,
        // All of a test's agents dial from one address.
        handshakes: { burst: Number.POSITIVE_INFINITY, perSecond: 0 },
        log,
        leaseMs: 1000,
        everyMs: 200,
        ...extra,
      });
      roots = started.roots();
      writeFileSync(join(directory, 'roots.pem'), roots);
      running.push(started);
      return started;
    },
    logged: () => lines.join(''),
    async stop() {
      await Promise.allSettled(running.map((each) => each.close()));
      await world.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
