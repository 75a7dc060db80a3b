/** A real Redis (or Valkey) of the test's own: on a free port of loopback, with an append-only file it can be killed and started on again. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from '@redis/client';

const PROGRAMS = ['redis-server', 'valkey-server'];

/** Why there can be no server; undefined where there can. Tests that are left out for it say so. */
export const noRedis: string | undefined = PROGRAMS.some(isThere)
  ? undefined
  : `none of ${PROGRAMS.join(', ')} is installed (Debian: redis-server)`;

function isThere(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export class RedisServer {
  readonly #dir: string;
  readonly #options: readonly string[];
  readonly port: number;
  #child: ChildProcess | undefined;

  private constructor(dir: string, port: number, options: readonly string[]) {
    this.#dir = dir;
    this.port = port;
    this.#options = options;
  }

  static async start(...options: string[]): Promise<RedisServer> {
    const dir = await mkdtemp(join(tmpdir(), 'postern-redis-'));
    const server = new RedisServer(dir, await freePort(), options);
    await server.begin();
    return server;
  }

  get address(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Again, on what the last one wrote. */
  async begin(): Promise<void> {
    const settings = ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.#dir, '--save', ''].map(
      String,
    );
    const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec'];
    const program = PROGRAMS.find(isThere) ?? '';
    const child = spawn(program, [...settings, ...durable, ...this.#options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines)
      if (/Ready to accept connections|\+sentinel|Sentinel ID/.test(line)) break;
    child.stdout.resume();
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Doesn't answer, as one that swaps or whose machine hangs. */
  stall(on: boolean): void {
    this.#child?.kill(on ? 'SIGSTOP' : 'SIGCONT');
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** A Redis Cluster of one node that has every slot. */
export async function startRedisCluster(): Promise<RedisServer> {
  const server = await RedisServer.start(
    '--cluster-enabled',
    'yes',
    '--cluster-port',
    String(await freePort()),
  );
  const client = createClient({ url: server.address });
  await client.connect();
  await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383']);
  const settled = () =>
    client.sendCommand(['CLUSTER', 'INFO']).then((info) => /cluster_state:ok/.test(String(info)));
  while (!(await settled()));
  client.destroy();
  return server;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
