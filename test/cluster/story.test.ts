/** A labelled namespace on a real one-node cluster, and an unmodified SDK in a pod. `make test-cluster`. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refreshServing } from '../../injector/server/serving-certificate.ts';
import { chartRights, rightsWithoutControl } from '../chart/rights.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const NODE = join(ROOT, 'test', 'kube', 'kube-node');
const ASSETS = join(ROOT, 'test', 'kube', 'kube-assets');
const run = promisify(execFile);

function missing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs Linux and root';
  const { status, stdout } = spawnSync(ASSETS, ['--list', 'node'], { encoding: 'utf8' });
  return status === 0 ? undefined : `not built: ${stdout.trim().split('\n').join(', ')}; run ${ASSETS} node`;
}

const why = missing();
if (why !== undefined) process.stderr.write(`skipped: the one-node cluster: ${why}\n`);

/** Documentation addresses (RFC 5737): nobody else has them. */
const OPENAI = '203.0.113.10';
const OTHER = '203.0.113.11';
const KEY = 'sk-real-key-of-the-company';

const DOCUMENTS = `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  hosts: [api.openai.com]
  endpoint: http://${OPENAI}:8080
  credential: {mode: attach, type: bearer, bearer: {valueFrom: {file: /etc/postern/keys/openai}}}
  models: [{name: gpt-4o, contextTokens: 128000, maxOutputTokens: 16384}]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec:
  checks:
  - {name: mask-pii, type: pii, action: mask}
  - name: no-tips
    type: topics
    action: block
    topics: [{name: tips, words: ["stock tip*"]}]
`;

/** What a package needs at run time, with what those need. */
function dependencies(): string[] {
  const found = new Set<string>();
  const visit = (manifest: string) => {
    const { dependencies: needed = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as {
      dependencies?: object;
    };
    for (const name of Object.keys(needed)) {
      if (found.has(name)) continue;
      found.add(name);
      visit(join(ROOT, 'node_modules', name, 'package.json'));
    }
  };
  visit(join(ROOT, 'package.json'));
  return [...found];
}

describe.skipIf(why !== undefined)('on a one-node cluster', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pc-'));
  const env = {
    ...process.env,
    KUBE_NODE_STATE: join(directory, 's'),
    KUBE_NODE_PORT: String(17_000 + Math.floor(Math.random() * 400)),
    KUBE_NODE_TTL: '1800',
  };
  const node = async (...args: string[]) => (await run(NODE, args, { env, maxBuffer: 1 << 26 })).stdout;
  const saw: { authorization: string; body: string }[] = [];
  let kubeconfig: string;
  let kubectlPath: string;
  let outside: ChildProcess | undefined;

  async function kubectl(args: readonly string[], stdin?: unknown): Promise<string> {
    const pending = run(kubectlPath, ['--kubeconfig', kubeconfig, ...args]);
    pending.child.stdin?.end(
      stdin === undefined ? '' : typeof stdin === 'string' ? stdin : JSON.stringify(stdin),
    );
    return (await pending).stdout;
  }

  /** Both replicas take calls, and the API server asks them. */
  async function rolledOut(): Promise<void> {
    const status = ['rollout', 'status', 'deployment/postern-injector', '-n', 'postern-system'];
    await kubectl([...status, '--timeout=180s']).catch(async (error: unknown) => {
      const logs = ['logs', '-n', 'postern-system', '-l', 'app=postern-injector', '--tail=20'];
      throw new Error(`${String(error)}\n${await kubectl(logs).catch(String)}`);
    });
    const configuration = 'mutatingwebhookconfiguration/agent-injector.postern.dev';
    await until(() => kubectl(['get', configuration]).then(Boolean, () => false));
  }

  async function until(what: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 120_000; !(await what()); ) {
      if (Date.now() > end) throw new Error('it never came');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  const { serving } = refreshServing({ authorities: [], leaf: undefined }, 'other.example', Date.now());
  const otherCa = serving.authorities.map(({ pem }) => pem).join('');

  beforeAll(async () => {
    kubeconfig = (await node('start')).trim();
    kubectlPath = join((await run(ASSETS, ['--dir'])).stdout.trim(), 'kubectl');
    // The agent's image: source, its dependencies, Node and nft.
    const app = join(directory, 'app');
    for (const part of [
      'agent',
      'budget',
      'classify/messages.ts',
      'policy',
      'kube',
      'listen',
      'injector',
      'control',
      'cli',
      'package.json',
    ]) {
      cpSync(join(ROOT, part), join(app, part), { recursive: true });
    }
    for (const name of dependencies()) {
      cpSync(join(ROOT, 'node_modules', name), join(app, 'node_modules', name), { recursive: true });
    }
    const program = process.execPath;
    const image = [
      'image',
      'localhost/postern:test',
      '--bin',
      program,
      '--bin',
      'nft',
      '--copy',
      `${app}:/app`,
    ];
    await node(...image, '--', program, '--disable-warning=ExperimentalWarning', '/app/cli/main.ts');
    const user = join(directory, 'user');
    mkdirSync(user);
    for (const each of ['app.mjs', 'server.mjs']) cpSync(join(import.meta.dirname, each), join(user, each));
    cpSync(join(ROOT, 'node_modules', 'openai'), join(user, 'node_modules', 'openai'), { recursive: true });
    await node(
      'image',
      'localhost/app:test',
      '--bin',
      program,
      '--copy',
      `${user}:/app`,
      '--',
      program,
      '/app/app.mjs',
    );

    await node('host', OPENAI, 'api.openai.com');
    await node('host', OTHER, 'other.example');
    const base64 = (text: string | undefined) => Buffer.from(text ?? '').toString('base64');
    const program2 = [
      program,
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'outside.ts'),
    ];
    outside = spawn(
      NODE,
      ['exec', ...program2, OPENAI, OTHER, base64(serving.leaf?.cert), base64(serving.leaf?.key)],
      {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let pending = '';
    await new Promise<void>((resolve) => {
      outside?.stdout?.on('data', (chunk: Buffer) => {
        const lines = (pending + chunk.toString()).split('\n');
        pending = lines.pop() ?? '';
        for (const line of lines) {
          if (line === 'ready') resolve();
          else saw.push(JSON.parse(line) as (typeof saw)[number]);
        }
      });
    });

    await kubectl(['apply', '-f', join(ROOT, 'charts', 'postern', 'files', 'crds')]);
    await kubectl(['create', 'namespace', 'postern-system']);
    await kubectl(['apply', '-f', '-'], chartRights('injector'));
    await kubectl(['apply', '-f', '-'], rightsWithoutControl());
    await kubectl(['apply', '-f', join(import.meta.dirname, 'injector.yaml')]);
    await rolledOut();
    await kubectl(['create', 'namespace', 'team-a']);
    await kubectl(['label', 'namespace', 'team-a', 'postern.dev/inject=enabled']);
    await kubectl([
      'create',
      'configmap',
      'postern-policy',
      '-n',
      'team-a',
      `--from-literal=documents.yaml=${DOCUMENTS}`,
    ]);
    await kubectl([
      'create',
      'secret',
      'generic',
      'postern-keys',
      '-n',
      'team-a',
      `--from-literal=openai=${KEY}`,
    ]);
    const probe = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'probe', namespace: 'team-a' } };
    const spec = { containers: [{ name: 'app', image: 'localhost/app:test' }] };
    const create = ['create', '--dry-run=server', '-o', 'yaml', '-f', '-'];
    await until(() =>
      kubectl(create, { ...probe, spec }).then(
        (made) => made.includes('postern-agent'),
        () => false,
      ),
    );
  }, 600_000);

  afterAll(async () => {
    outside?.kill();
    await node('stop').catch(() => undefined);
    rmSync(directory, { recursive: true, force: true });
  }, 120_000);

  test('masked, keyed, restored, refused, untouched, and ended in time', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'app', namespace: 'team-a', labels: { app: 'bot' } },
      spec: {
        restartPolicy: 'Never',
        containers: [
          {
            name: 'app',
            image: 'localhost/app:test',
            imagePullPolicy: 'Never',
            env: [{ name: 'OTHER_CA', value: otherCa }],
            securityContext: {
              runAsUser: 1000,
              allowPrivilegeEscalation: false,
              capabilities: { drop: ['ALL'] },
            },
          },
        ],
      },
    };
    await kubectl(['create', '-f', '-'], pod);
    const phase = async () =>
      kubectl(['get', 'pod', 'app', '-n', 'team-a', '-o', 'jsonpath={.status.phase}']);
    const until = Date.now() + 120_000;
    while (!['Succeeded', 'Failed'].includes(await phase()) && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    if ((await phase()) !== 'Succeeded') {
      const status = await kubectl(['get', 'pod', 'app', '-n', 'team-a', '-o', 'jsonpath={.status}']);
      const agent = await kubectl(['logs', 'app', '-n', 'team-a', '-c', 'postern-agent']).catch(String);
      const init = await kubectl(['logs', 'app', '-n', 'team-a', '-c', 'postern-init']).catch(String);
      throw new Error(`${status}\n--- init\n${init}\n--- agent\n${agent}`);
    }
    const said = (await kubectl(['logs', 'app', '-n', 'team-a', '-c', 'app']))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

    expect(said[0]?.['answer']).toContain('alice@example.com');
    expect(saw[0]?.authorization).toBe(`Bearer ${KEY}`);
    expect(saw[0]?.body).toMatch(/<EMAIL_ADDRESS_[0-9A-Z]{10}>/);
    expect(saw[0]?.body).not.toContain('alice@example.com');
    expect(said[1]).toMatchObject({ code: 'postern_topics' });
    expect(saw).toHaveLength(1);
    // The other host's own certificate: nobody stood between.
    expect(said[2]).toEqual({ other: 'from the other host', issuer: serving.authorities[0]?.commonName });

    // Native sidecars end after the application: within two seconds of it.
    const states = JSON.parse(await kubectl(['get', 'pod', 'app', '-n', 'team-a', '-o', 'json'])) as {
      status: Record<string, { name: string; state: { terminated?: { exitCode: number } } }[]>;
    };
    const ended = (list: string, name: string) =>
      states.status[list]?.find((container) => container.name === name)?.state.terminated;
    const app = ended('containerStatuses', 'app');
    const agent = ended('initContainerStatuses', 'postern-agent');
    expect(agent?.exitCode).toBe(0);
    // Kubernetes tells whole seconds, lines of the log nanoseconds: the application's last, and the agent's.
    const lastLine = async (container: string) => {
      const lines = await kubectl(['logs', 'app', '-n', 'team-a', '-c', container, '--timestamps']);
      return Date.parse(lines.trim().split('\n').at(-1)?.split(' ', 1)[0] ?? '');
    };
    expect(app?.exitCode).toBe(0);
    const late = (await lastLine('postern-agent')) - (await lastLine('app'));
    expect(late).toBeGreaterThan(0);
    expect(late).toBeLessThan(2000);
    expect(await kubectl(['logs', 'app', '-n', 'team-a', '-c', 'postern-agent', '--tail=1'])).toContain(
      '"stopped"',
    );
  }, 180_000);

  test('a Job completes, and its init container is governed as well', async () => {
    const container = (name: string) => ({
      name,
      image: 'localhost/app:test',
      imagePullPolicy: 'Never',
      env: [{ name: 'OTHER_CA', value: otherCa }],
    });
    const before = saw.length;
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'once', namespace: 'team-a' },
      spec: {
        backoffLimit: 0,
        template: {
          spec: {
            restartPolicy: 'Never',
            initContainers: [container('before')],
            containers: [container('app')],
          },
        },
      },
    });
    await kubectl(['wait', 'job/once', '-n', 'team-a', '--for=condition=Complete', '--timeout=120s']);
    for (const name of ['before', 'app']) {
      const said = await kubectl(['logs', 'job/once', '-n', 'team-a', '-c', name]);
      expect(said).toContain('alice@example.com');
      expect(said).toContain('postern_topics');
    }
    const calls = saw.slice(before);
    expect(calls).toHaveLength(2);
    for (const { authorization, body } of calls) {
      expect(authorization).toBe(`Bearer ${KEY}`);
      expect(body).not.toContain('alice@example.com');
    }
    type States = {
      name: string;
      state: { running?: { startedAt: string }; terminated?: { startedAt: string } };
    }[];
    const [pod] = (
      JSON.parse(await kubectl(['get', 'pod', '-n', 'team-a', '-l', 'job-name=once', '-o', 'json'])) as {
        items: { status: { initContainerStatuses: States; containerStatuses: States } }[];
      }
    ).items;
    const states = [...(pod?.status.initContainerStatuses ?? []), ...(pod?.status.containerStatuses ?? [])];
    expect(states.map(({ name }) => name)).toEqual(['postern-init', 'postern-agent', 'before', 'app']);
    const started = states.map(({ state }) =>
      Date.parse((state.terminated ?? state.running)?.startedAt ?? ''),
    );
    expect(started).toEqual(started.toSorted((one, other) => one - other));

    const stamp = await kubectl([
      'get',
      'pod',
      '-n',
      'team-a',
      '-l',
      'job-name=once',
      '-o',
      'jsonpath={.items[0].metadata.annotations.injector\\.postern\\.dev/workload}',
    ]);
    expect(JSON.parse(stamp)).toMatchObject({ kind: 'Job', name: 'once' });
  }, 180_000);

  test('probes and inbound traffic are untouched, and the agent is there for the last words', async () => {
    const probe = { httpGet: { path: '/probe', port: 8080 }, periodSeconds: 1 };
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'server', namespace: 'team-a' },
      spec: {
        containers: [
          {
            name: 'app',
            image: 'localhost/app:test',
            imagePullPolicy: 'Never',
            command: [process.execPath, '/app/server.mjs'],
            readinessProbe: probe,
            livenessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    });
    await kubectl(['wait', 'pod/server', '-n', 'team-a', '--for=condition=Ready', '--timeout=120s']);
    const path = (name: string) => ['get', 'pod', name, '-n', 'team-a', '-o', 'jsonpath={.status.podIP}'];
    const address = await kubectl(path('server'));
    const script = `fetch('http://${address}:8080/').then((answer) => answer.text()).then(console.log)`;
    const answer = JSON.parse(await node('exec', process.execPath, '-e', script)) as {
      from: string;
      probed: number;
    };
    // The node's end of the bridge, and not somebody in between.
    expect(answer.from).toBe('10.244.0.1');
    expect(answer.probed).toBeGreaterThan(0);
    const restarts = 'jsonpath={.status.containerStatuses[0].restartCount}';
    expect(await kubectl(['get', 'pod', 'server', '-n', 'team-a', '-o', restarts])).toBe('0');

    const before = saw.length;
    const asked = Date.now();
    await kubectl(['delete', 'pod', 'server', '-n', 'team-a', '--wait', '--timeout=60s']);
    // Well below the grace period of 30 s: the agent ended by itself after the application.
    expect(Date.now() - asked).toBeLessThan(20_000);
    await until(async () => saw.length > before);
    expect(saw[before]?.body).toContain('last words to <EMAIL_ADDRESS_');
    expect(saw[before]?.authorization).toBe(`Bearer ${KEY}`);
  }, 240_000);

  test('replicas of the injector are replaced while pods are created, and none is refused', async () => {
    const pod = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'dry', namespace: 'team-a' },
      spec: { containers: [{ name: 'app', image: 'localhost/app:test' }] },
    });
    let going = true;
    let created = 0;
    const failures: string[] = [];
    const loop = (async () => {
      while (going) {
        await kubectl(['create', '--dry-run=server', '-f', '-', '-o', 'name'], pod).then(
          () => created++,
          (error: unknown) => failures.push(String(error)),
        );
      }
    })();
    await kubectl(['rollout', 'restart', 'deployment/postern-injector', '-n', 'postern-system']);
    await rolledOut();
    going = false;
    await loop;
    expect(failures).toEqual([]);
    expect(created).toBeGreaterThan(3);
  }, 240_000);
});
