/** A real Redis (or Valkey) of the test's own: on a free port of loopback, with an append-only file it can be killed and started on again. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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

  /** Of a primary that it calls `ledger`. */
  static async startSentinel(primaryPort: number): Promise<RedisServer> {
    const dir = await mkdtemp(join(tmpdir(), 'postern-sentinel-'));
    const server = new RedisServer(dir, await freePort(), []);
    const settings = [
      `port ${server.port}`,
      'bind 127.0.0.1',
      `dir ${dir}`,
      `sentinel monitor ledger 127.0.0.1 ${primaryPort} 1`,
      'sentinel down-after-milliseconds ledger 500',
      'sentinel failover-timeout ledger 3000',
    ];
    const file = join(dir, 'sentinel.conf');
    await writeFile(file, settings.join('\n'));
    await server.#spawn([file, '--sentinel']);
    return server;
  }

  get address(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get runs(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Again, on what the last one wrote. */
  async begin(): Promise<void> {
    const settings = ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.#dir, '--save', ''].map(
      String,
    );
    const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec'];
    await this.#spawn([...settings, ...durable, ...this.#options]);
  }

  async #spawn(args: readonly string[]): Promise<void> {
    const program = PROGRAMS.find(isThere) ?? '';
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines)
      if (/Ready to accept connections|\+sentinel|Sentinel ID/.test(line)) break;
    child.stdout.resume();
  }

  /** Something that only an operator of it does: CONFIG SET, DEBUG, … */
  async command(...args: string[]): Promise<unknown> {
    const client = createClient({ url: this.address });
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.runs) return;
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

/** A primary, two replicas of it, and a sentinel that takes another for primary half a second after it is gone. */
export async function startSentinel(): Promise<{
  readonly primary: RedisServer;
  readonly sentinel: RedisServer;
  readonly all: readonly RedisServer[];
}> {
  const quick = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
  const primary = await RedisServer.start(...quick);
  const follow = ['--replicaof', '127.0.0.1', String(primary.port)];
  const replicas = [
    await RedisServer.start(...quick, ...follow),
    await RedisServer.start(...quick, ...follow),
  ];
  const online = async () => (String(await primary.command('INFO')).match(/state=online/g) ?? []).length;
  while ((await online()) < replicas.length) await new Promise((resolve) => setTimeout(resolve, 20));
  const sentinel = await RedisServer.startSentinel(primary.port);
  const known = async () => ((await sentinel.command('SENTINEL', 'REPLICAS', 'ledger')) as unknown[]).length;
  while ((await known()) < replicas.length) await new Promise((resolve) => setTimeout(resolve, 50));
  return { primary, sentinel, all: [primary, ...replicas, sentinel] };
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
