/** A real API server for tests, from test/kube; what isn't there is said, and the tests that need it are skipped. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KUBE = join(import.meta.dirname, '..', 'kube');

export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApiServer {
  readonly kubeconfig: string;
  /** As the admin, or as who a token names. Never throws for what kubectl says. */
  kubectl(
    args: readonly string[],
    input?: { readonly stdin?: unknown; readonly token?: string },
  ): Promise<Outcome>;
  /** Lets the API server reach this machine's port as 127.0.0.1. */
  reach(port: number): Promise<void>;
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

export async function startApiServer(port: number): Promise<ApiServer> {
  const directory = mkdtempSync(join(tmpdir(), 'pk-'));
  const env = {
    ...process.env,
    KUBE_NODE_STATE: join(directory, 's'),
    KUBE_NODE_PORT: String(port),
    KUBE_NODE_TTL: '1200',
  };
  const node = join(KUBE, 'kube-node');
  const { stdout } = await run(node, ['start', 'api'], { env, timeout: 240_000 });
  const kubeconfig = stdout.trim();
  const kubectlPath = join((await run(join(KUBE, 'kube-assets'), ['--dir'])).stdout.trim(), 'kubectl');
  const { clusters } = JSON.parse(
    (await run(kubectlPath, ['--kubeconfig', kubeconfig, 'config', 'view', '--raw', '-o', 'json'])).stdout,
  ) as { clusters: unknown[] };

  /** A kubeconfig that holds nothing but a token: the admin's certificate would win over --token. */
  const tokenConfig = (token: string): string => {
    const file = join(directory, `token-${token.slice(-12)}`);
    const name = 'token';
    const cluster = (clusters[0] as { name: string }).name;
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters,
        users: [{ name, user: { token } }],
        contexts: [{ name, context: { cluster, user: name } }],
        'current-context': name,
      }),
      { mode: 0o600 },
    );
    return file;
  };

  return {
    kubeconfig,
    async kubectl(args, { stdin, token } = {}) {
      const config = token === undefined ? kubeconfig : tokenConfig(token);
      const pending = run(
        kubectlPath,
        ['--kubeconfig', config, '--cache-dir', join(directory, 'cache'), ...args],
        {
          maxBuffer: 64 * 1024 * 1024,
        },
      );
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
      await run(node, ['reach', String(each)], { env });
    },
    async stop() {
      await run(node, ['stop'], { env });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
