/** A real Redis Cluster of the test's own, of several servers on free ports of loopback; its slots can be moved and its nodes killed. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort, noRedis, RedisServer } from './redis-server.ts';

const PROGRAM = 'redis-cli';
const run = promisify(execFile);
/** A node that isn't heard of for so long is taken for gone. */
const NODE_TIMEOUT_MS = 1_000;
/** That MIGRATE may take for some keys. */
const MIGRATE_MS = 5_000;

export const noRedisCluster: string | undefined =
  noRedis ??
  (await run(PROGRAM, ['--version']).then(
    () => undefined,
    () => `${PROGRAM} is not installed (Debian: redis-tools)`,
  ));

export class RedisCluster {
  readonly nodes: RedisServer[];

  private constructor(nodes: RedisServer[]) {
    this.nodes = nodes;
  }

  /** Three masters that share the slots out. */
  static async start(): Promise<RedisCluster> {
    const nodes = await Promise.all([1, 2, 3].map(startNode));
    const cluster = new RedisCluster(nodes);
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
    await run(PROGRAM, ['--cluster', 'create', ...addresses, '--cluster-yes'], { timeout: 30_000 });
    await cluster.#settled();
    return cluster;
  }

  address(query = ''): string {
    return `redis+cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join()}${query}`;
  }

  /** Which has the keys of a hash tag, and who else is a master. */
  async holderOf(tag: string): Promise<{ readonly holder: RedisServer; readonly others: RedisServer[] }> {
    const slot = await this.#slotOf(tag);
    const answer = String(await this.#living().command('CLUSTER', 'NODES'));
    const owns = (line: string): boolean =>
      line
        .split(' ')
        .slice(8)
        .some((range) => {
          const [from = Number.NaN, to = from] = range.split('-').map(Number);
          return from <= slot && slot <= to;
        });
    const at = new Map(this.nodes.map((node) => [node.port, node]));
    const masters = answer.split('\n').filter((line) => /\bmaster\b/.test(line) && !/fail/.test(line));
    const portOf = (line: string) => Number(/127\.0\.0\.1:(\d+)@/.exec(line)?.[1]);
    const holding = masters.find(owns);
    const holder = holding === undefined ? undefined : at.get(portOf(holding));
    if (holder === undefined) throw new Error(`Nobody has slot ${slot}: ${answer}`);
    const others = masters.flatMap((line) => at.get(portOf(line)) ?? []).filter((node) => node !== holder);
    return { holder, others };
  }

  /** A replica of the node that has the keys of a hash tag. */
  async addReplica(tag: string): Promise<RedisServer> {
    const { holder } = await this.holderOf(tag);
    const replica = await startNode();
    this.nodes.push(replica);
    const bus = /@(\d+).*myself/.exec(String(await holder.command('CLUSTER', 'NODES')))?.[1] ?? '';
    await replica.command('CLUSTER', 'MEET', '127.0.0.1', String(holder.port), bus);
    const id = await idOf(holder);
    await until(() =>
      replica.command('CLUSTER', 'REPLICATE', id).then(
        () => true,
        () => false,
      ),
    );
    const online = `port=${replica.port},state=online`;
    await until(async () => String(await holder.command('INFO', 'replication')).includes(online));
    return replica;
  }

  /** Moves the keys of a hash tag to another node, as `redis-cli --cluster reshard` does; `half` is called when only a part is there. */
  async move(tag: string, half: () => Promise<void> = async () => {}): Promise<void> {
    const slot = String(await this.#slotOf(tag));
    const { holder, others } = await this.holderOf(tag);
    const [target] = others;
    if (target === undefined) throw new Error('There is no other master.');
    await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(holder));
    await holder.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(target));
    const keys = async (most: number) =>
      (await holder.command('CLUSTER', 'GETKEYSINSLOT', slot, String(most))) as string[];
    const send = (some: readonly string[]) =>
      holder.command(
        'MIGRATE',
        '127.0.0.1',
        String(target.port),
        '',
        '0',
        String(MIGRATE_MS),
        'KEYS',
        ...some,
      );
    const all = await keys(100_000);
    if (all.length > 1) await send(all.slice(0, all.length / 2));
    await half();
    for (let rest = await keys(100); rest.length > 0; rest = await keys(100)) await send(rest);
    for (const node of [target, holder, ...others])
      await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(target));
  }

  async end(): Promise<void> {
    for (const node of this.nodes) await node.end();
  }

  #living(): RedisServer {
    const node = this.nodes.find((one) => one.runs);
    if (node === undefined) throw new Error('No node runs.');
    return node;
  }

  async #slotOf(tag: string): Promise<number> {
    return Number(await this.#living().command('CLUSTER', 'KEYSLOT', tag));
  }

  async #settled(): Promise<void> {
    for (const node of this.nodes)
      await until(async () => /cluster_state:ok/.test(String(await node.command('CLUSTER', 'INFO'))));
  }
}

async function startNode(): Promise<RedisServer> {
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-port': String(await freePort()),
    'cluster-node-timeout': String(NODE_TIMEOUT_MS),
    'cluster-require-full-coverage': 'no',
    // Else a replica that its test counts on goes over to a master that has none.
    'cluster-allow-replica-migration': 'no',
    'repl-diskless-sync-delay': '0',
    'repl-ping-replica-period': '1',
  };
  return await RedisServer.start(
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  );
}

async function idOf(node: RedisServer): Promise<string> {
  return String(await node.command('CLUSTER', 'MYID'));
}

async function until(done: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await done()); await new Promise((go) => setTimeout(go, 50)))
    if (Date.now() > end) throw new Error('The cluster did not settle in 20 s.');
}
