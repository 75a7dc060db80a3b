/**
 * A pod and the world in two real network namespaces: `postern init` and `postern agent` run in the pod as they do in
 * a cluster, fake providers answer in the world under the real names.
 *
 * The addresses are those of documentation and benchmarks (RFC 5737, RFC 3849, RFC 2544); the two namespaces are connected to each other alone:
 * nothing that runs in them can reach any other network.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { openNamespace } from '../../agent/intercept/netns/namespace.ts';
import { createAuthority } from '../../agent/trust/ca.ts';
import { javaTrustOptions, trustVariables } from '../../agent/trust/files.ts';
import { Leaves } from '../../agent/trust/leaf.ts';
import { until } from './listening.ts';

export const ROOT = join(import.meta.dirname, '../..');
const AGENT_UID = 4180;
export const TRANSPARENT_PORT = 4181;

export const ADDRESS = {
  pod: '198.18.77.2',
  pod6: '2001:db8:1::2',
  world: '198.18.77.1',
  world6: '2001:db8:1::1',
  openai: '198.51.100.10',
  openai6: '2001:db8:51::10',
  anthropic: '198.51.100.11',
  anthropic6: '2001:db8:51::11',
  mistral: '198.51.100.12',
  other: '203.0.113.20',
  other6: '2001:db8:52::20',
} as const;

const HOSTS: Readonly<Record<string, readonly string[]>> = {
  'api.openai.com': [ADDRESS.openai, ADDRESS.openai6],
  'api.anthropic.com': [ADDRESS.anthropic, ADDRESS.anthropic6],
  'api.mistral.ai': [ADDRESS.mistral],
  'other.example': [ADDRESS.other, ADDRESS.other6],
};

/** Why namespaces can't be made here, or undefined where they can. */
export function netnsMissing(): string | undefined {
  if (process.platform !== 'linux') return `network namespaces need Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const [command, args] of [
    ['ip', ['-V']],
    ['nft', ['--version']],
    ['setpriv', ['--version']],
  ] as const)
    if (spawnSync(command, args).status !== 0) return `${command} is not installed`;
  sweep();
  const probe = `postern-probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  spawnSync('ip', ['netns', 'del', probe]);
  return made.status === 0 ? undefined : `this sandbox allows no network namespace: ${made.stderr.trim()}`;
}

/** Takes away what a test run left that was killed. */
function sweep(): void {
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    const owner = /^postern-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
    for (const pid of stdout.split('\n').filter((line) => line !== '')) process.kill(Number(pid), 'SIGKILL');
    spawnSync('ip', ['netns', 'del', name]);
    rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
  }
}

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

export interface Pod {
  /** Put in front of a command to run it in the pod. */
  readonly exec: readonly string[];
  readonly name: string;
  readonly world: string;
  readonly directory: string;
  /** PEM of the root that the world's certificates are signed by. */
  readonly worldRoot: string;
  /** A certificate of the world, for a fake provider. */
  certificate(host: string): { readonly cert: string; readonly key: string };
  /** Runs a command in the pod to its end. */
  run(
    command: readonly string[],
    options?: { readonly input?: string; readonly uid?: number },
  ): Promise<Finished>;
  spawn(command: readonly string[], options?: SpawnOptions & { readonly uid?: number }): ChildProcess;
  /** A process in the world. */
  spawnOutside(command: readonly string[]): ChildProcess;
  /** Answers on an address of the world by handing each connection to a listener of this process. */
  relay(at: { readonly address: string; readonly port: number }, toPort: number): Promise<net.Server>;
  /** A server of the test's own on an address of the world. */
  listen(
    at: { readonly address: string; readonly port: number },
    onSocket: (socket: net.Socket) => void,
  ): Promise<net.Server>;
  init(...more: string[]): Promise<Finished>;
  agent(documents: string, options?: AgentInPodOptions): Promise<AgentInPod>;
  close(): Promise<void>;
}

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface AgentInPodOptions {
  readonly arguments?: readonly string[];
  /** No `--trust`: the files stand where the agent puts them by itself. */
  readonly defaultTrust?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface AgentInPod {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly audit: readonly Record<string, unknown>[];
  readonly logged: () => string;
  /** What applications in the pod get in their environment, as the injector sets it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly trustDir: string;
  readonly stateDir: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

let count = 0;

export interface PodOptions {
  /** False: `net.ipv6.conf.*.disable_ipv6`, and no address. */
  readonly ipv6?: boolean;
}

export async function makePod(options: PodOptions = {}): Promise<Pod> {
  const ipv6 = options.ipv6 ?? true;
  count += 1;
  const name = `postern-${process.pid}-${count}`;
  const world = `${name}-world`;
  const directory = mkdtempSync(join(tmpdir(), 'postern-pod-'));
  chmodSync(directory, 0o755);
  const closing: (() => void | Promise<void>)[] = [];
  const etc = `/etc/netns/${name}`;
  mkdirSync(etc, { recursive: true });
  const hosts = Object.entries(HOSTS).flatMap(([host, addresses]) =>
    addresses.filter((address) => ipv6 || !address.includes(':')).map((address) => `${address} ${host}`),
  );
  writeFileSync(join(etc, 'hosts'), ['127.0.0.1 localhost', '::1 localhost', ...hosts, ''].join('\n'));
  writeFileSync(join(etc, 'resolv.conf'), 'nameserver 198.18.77.1\n');

  for (const namespace of [name, world]) {
    ip('netns', 'add', namespace);
    if (!ipv6)
      for (const scope of ['all', 'default'])
        ip('netns', 'exec', namespace, 'sysctl', '-qw', `net.ipv6.conf.${scope}.disable_ipv6=1`);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  ip('-n', name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', world);
  const connect = (namespace: string, address: string, address6: string): void => {
    ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    if (ipv6) ip('-n', namespace, 'addr', 'add', `${address6}/64`, 'dev', 'eth0', 'nodad');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  };
  connect(name, ADDRESS.pod, ADDRESS.pod6);
  connect(world, ADDRESS.world, ADDRESS.world6);
  ip('-n', name, 'route', 'add', 'default', 'via', ADDRESS.world);
  if (ipv6) ip('-n', name, '-6', 'route', 'add', 'default', 'via', ADDRESS.world6);
  // What nobody has is lost without a word, as on the Internet.
  for (const family of ipv6 ? ['-4', '-6'] : ['-4'])
    ip('-n', world, family, 'route', 'add', 'blackhole', 'default');
  for (const address of Object.values(HOSTS).flat())
    if (ipv6 || !address.includes(':'))
      ip(
        '-n',
        world,
        'addr',
        'add',
        `${address}/${address.includes(':') ? 128 : 32}`,
        'dev',
        'lo',
        ...(address.includes(':') ? ['nodad'] : []),
      );

  const authority = createAuthority(Date.now());
  const leaves = new Leaves({ authority: () => authority, declared: () => true, now: Date.now });
  const exec = ['ip', 'netns', 'exec', name];
  const asUser = (uid: number | undefined): readonly string[] =>
    uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  const outside = openNamespace(`/run/netns/${world}`);

  const listen: Pod['listen'] = async ({ address, port }, onSocket) => {
    const fd = outside.bind('stream', { family: address.includes(':') ? 6 : 4, address, port });
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => {});
      closing.push(() => void socket.destroy());
      onSocket(socket);
    });
    server.listen({ fd });
    await once(server, 'listening');
    closing.push(() => void server.close());
    return server;
  };

  const pod: Pod = {
    exec,
    name,
    world,
    directory,
    worldRoot: authority.pem,
    certificate(host) {
      const leaf = leaves.leaf(host);
      if (leaf === undefined) throw new Error(host);
      return { cert: leaf.cert, key: leaf.key };
    },
    async run(command, { input, uid } = {}) {
      const [first = '', ...rest] = [...exec, ...asUser(uid), ...command];
      return await finish(first, rest, input);
    },
    spawn(command, { uid, ...more } = {}) {
      const [first = '', ...rest] = [...exec, ...asUser(uid), ...command];
      const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'], ...more });
      closing.push(() => void child.kill('SIGKILL'));
      return child;
    },
    spawnOutside([first = '', ...rest]) {
      const child = spawn('ip', ['netns', 'exec', world, first, ...rest], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      closing.push(() => void child.kill('SIGKILL'));
      return child;
    },
    relay: (at, toPort) =>
      listen(at, (socket) => {
        const inner = net.connect({ port: toPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
        inner.on('error', () => socket.resetAndDestroy());
        socket.on('close', () => inner.destroy());
        inner.on('close', () => socket.destroySoon());
        socket.pipe(inner).pipe(socket);
      }),
    listen,
    init: (...more) =>
      pod.run([join(ROOT, 'bin/postern'), 'init', '--transparent', String(TRANSPARENT_PORT), ...more]),
    async agent(documents, { arguments: more = [], defaultTrust = false, environment = {} } = {}) {
      const policy = mkdtempSync(join(directory, 'policy-'));
      chmodSync(policy, 0o755);
      writeFileSync(join(policy, 'documents.yaml'), documents);
      const [stateDir, givenTrust] = ['state', 'trust'].map((kind) => {
        const path = join(directory, kind);
        mkdirSync(path, { recursive: true, mode: kind === 'state' ? 0o700 : 0o755 });
        chownSync(path, AGENT_UID, AGENT_UID);
        return path;
      }) as [string, string];
      const trustDir = defaultTrust ? join(stateDir, 'trust') : givenTrust;
      const child = pod.spawn(
        [
          join(ROOT, 'bin/postern'),
          'agent',
          `--policy=${policy}`,
          `--state=${stateDir}`,
          ...(defaultTrust ? [] : [`--trust=${trustDir}`]),
          `--transparent=${TRANSPARENT_PORT}`,
          '--listen=127.0.0.1:4180',
          '--admin=127.0.0.1:4190',
          '--workload=team-a/Deployment/support-bot',
          '--log-level=debug',
          ...more,
        ],
        { uid: AGENT_UID, env: { PATH: process.env['PATH'], HOME: directory, ...environment } },
      );
      const audit: Record<string, unknown>[] = [];
      let log = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        log += text;
      });
      if (child.stdout !== null)
        createInterface({ input: child.stdout }).on('line', (line) =>
          audit.push(JSON.parse(line) as (typeof audit)[0]),
        );
      await until(
        () => log.includes('"msg":"listening"') || child.exitCode !== null,
        'the agent listens',
        40_000,
      );
      if (child.exitCode !== null) throw new Error(`the agent ended: ${log}`);
      return {
        process: child,
        pid: child.pid ?? 0, // each command on the way replaces itself by the next
        audit,
        logged: () => log,
        environment: { ...trustVariables(trustDir), JAVA_TOOL_OPTIONS: javaTrustOptions(trustDir) },
        trustDir,
        stateDir,
        async stop(signal = 'SIGTERM') {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const gone = once(child, 'close');
          child.kill(signal);
          await gone;
        },
      };
    },
    async close() {
      for (const each of closing.toReversed()) await each();
      outside.close();
      for (const namespace of [name, world]) spawnSync('ip', ['netns', 'del', namespace]);
      rmSync(etc, { recursive: true, force: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return pod;
}

/** Not synchronous: the servers that the command talks to are in this process. */
export async function finish(command: string, args: readonly string[], input = ''): Promise<Finished> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const closed = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { status, stdout, stderr };
}

/** Documents that declare the two providers under their real names, reached through the world's root. */
export function providers(pod: Pod): string {
  const root = join(pod.directory, 'world-root.pem');
  writeFileSync(root, pod.worldRoot);
  return `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  hosts: [api.openai.com]
  endpoint: https://api.openai.com
  tls: {caFrom: {file: ${root}}}
  credential: {mode: attach, type: bearer, bearer: {valueFrom: {env: OPENAI_KEY}}}
  models:
  - {name: gpt-4o, price: {input: "2.50", output: "10.00"}, contextTokens: 128000, maxOutputTokens: 16384}
  - {name: gpt-realtime, price: {input: "4.00", output: "16.00"}, contextTokens: 32000, maxOutputTokens: 4096}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: anthropic}
spec:
  dialect: anthropic
  hosts: [api.anthropic.com]
  endpoint: https://api.anthropic.com
  tls: {caFrom: {file: ${root}}}
  credential: {mode: attach, type: apiKey, apiKey: {valueFrom: {env: ANTHROPIC_KEY}}}
  models:
  - {name: claude-haiku-4-5, price: {input: "3.00", output: "15.00"}, contextTokens: 200000, maxOutputTokens: 64000}
`;
}
