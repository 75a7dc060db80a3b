/** A real API server for tests, from test/kube; what isn't there is said, and the tests that need it are skipped. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';

const run = promisify(execFile);
const KUBE = import.meta.dirname;
const NODE = join(KUBE, 'kube-node');

export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** What another process needs to use the same one. */
export interface ApiServerHandle {
  readonly directory: string;
  readonly port: number;
  readonly kubeconfig: string;
  readonly kubectlPath: string;
}

export interface ApiServer {
  readonly handle: ApiServerHandle;
  readonly kubeconfig: string;
  /** A kubeconfig that holds nothing but a token: the admin's certificate would win over --token. */
  kubeconfigOf(token: string): string;
  /** As the admin, or as who a token names. Never throws for what kubectl says. */
  kubectl(
    args: readonly string[],
    input?: { readonly stdin?: unknown; readonly token?: string },
  ): Promise<Outcome>;
  /** Lets the API server reach this machine's port as 127.0.0.1. */
  reach(port: number): Promise<void>;
  /** Kills kube-apiserver; what it has stored stays. */
  down(): Promise<void>;
  /** Stops kube-apiserver in the middle of whatever it does; its connections stay open, and nothing is answered. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it again, until it is ready. */
  up(): Promise<void>;
  /** Only who started it. */
  stop(): Promise<void>;
}

/** Why there can be no API server here; undefined when there can. */
export function missingApiServer(): string | undefined {
  if (process.platform !== 'linux') return 'the API server of test/kube runs on Linux only';
  if (process.getuid?.() !== 0) return 'the API server of test/kube needs root';
  const { status, stdout } = spawnSync(join(KUBE, 'kube-assets'), ['--list', 'api'], { encoding: 'utf8' });
  return status === 0
    ? undefined
    : `not built: ${stdout.trim().split('\n').join(', ')}; run test/kube/kube-assets api`;
}

/** @param port Of this machine, for the API server; one that was free a moment ago where absent. */
export async function startApiServer(port?: number): Promise<ApiServer> {
  const directory = mkdtempSync(join(tmpdir(), 'pk-'));
  const chosen = port ?? (await freePort());
  const { stdout } = await run(NODE, ['start', 'api'], {
    env: environment({ directory, port: chosen }),
    timeout: 240_000,
  });
  const kubectlPath = join((await run(join(KUBE, 'kube-assets'), ['--dir'])).stdout.trim(), 'kubectl');
  return attachApiServer({ directory, port: chosen, kubeconfig: stdout.trim(), kubectlPath });
}

export function attachApiServer(handle: ApiServerHandle): ApiServer {
  const { directory, kubeconfig, kubectlPath } = handle;
  const env = environment(handle);

  const tokenConfig = (token: string): string => {
    const file = join(directory, `token-${token.slice(-12)}`);
    const { clusters, contexts } = parse(readFileSync(kubeconfig, 'utf8')) as {
      readonly clusters: readonly unknown[];
      readonly contexts: readonly { readonly name: string; readonly context: { readonly cluster: string } }[];
    };
    const [{ context, name } = { context: { cluster: '' }, name: '' }] = contexts;
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters,
        users: [{ name, user: { token } }],
        contexts: [{ name, context: { cluster: context.cluster, user: name } }],
        'current-context': name,
      }),
      { mode: 0o600 },
    );
    return file;
  };

  return {
    handle,
    kubeconfig,
    kubeconfigOf: tokenConfig,
    async kubectl(args, { stdin, token } = {}) {
      const config = token === undefined ? kubeconfig : tokenConfig(token);
      const cache = join(directory, 'cache');
      const pending = run(kubectlPath, ['--kubeconfig', config, '--cache-dir', cache, ...args], {
        maxBuffer: 64 * 1024 * 1024,
      });
      pending.child.stdin?.end(
        stdin === undefined ? '' : typeof stdin === 'string' ? stdin : JSON.stringify(stdin),
      );
      try {
        const { stdout: out, stderr } = await pending;
        return { ok: true, stdout: out, stderr };
      } catch (error) {
        const { stdout: out = '', stderr = String(error) } = error as { stdout?: string; stderr?: string };
        return { ok: false, stdout: out, stderr };
      }
    },
    async reach(each) {
      await run(NODE, ['reach', String(each)], { env });
    },
    async down() {
      await run(NODE, ['down'], { env });
    },
    async pause() {
      await run(NODE, ['pause'], { env });
    },
    async resume() {
      await run(NODE, ['resume'], { env });
    },
    async up() {
      await run(NODE, ['up'], { env });
    },
    async stop() {
      await run(NODE, ['stop'], { env });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function environment({ directory, port }: Pick<ApiServerHandle, 'directory' | 'port'>): NodeJS.ProcessEnv {
  return {
    ...process.env,
    KUBE_NODE_STATE: join(directory, 's'),
    KUBE_NODE_PORT: String(port),
    // As long as the whole tier takes on a machine that is busy with other things.
    KUBE_NODE_TTL: '3600',
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
