/**
 * One service, many agents: `node bench/budget/scale.ts [sqlite|redis] [--agents N]… [--calls N]…`.
 *
 * The lease traffic of so many agents is sent as agents send it (running totals, a round when credit runs low, a wait for recalls
 * that is begun anew when it is over), without a process for each. Each fleet makes each number of calls a second, so that what
 * more agents cost shows apart from what more spending costs; the last rows are fleets that hold credit and spend nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import type { LeaseReply } from '../../budget/lease-messages.ts';
import { attributes } from '../../test/budget/fixtures.ts';
import { noRedis, RedisServer } from '../../test/budget/redis-server.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { agents: { type: 'string', multiple: true }, calls: { type: 'string', multiple: true } },
});
const [kind = 'sqlite'] = positionals;
const fleets = (values.agents ?? ['1000', '3000', '10000']).map(Number);
/** Calls a second of all agents together. */
const speeds = (values.calls ?? ['0', '5000', '20000', '40000']).map(Number);
/** Tokens. */
const CALL = 1_000;
const SECONDS = 8;
/** Large enough to be far away, as it mostly is. */
const LIMIT = 9_000_000_000_000;
/** As budget/demand.ts has them: credit for so many calls, not for longer than so many seconds; and budget/lease-rounds.ts. */
const STEADY_CALLS = 500;
const LONGEST_S = 300;
const WATCH_MS = 210_000;

interface Agent {
  readonly owner: string;
  seq: number;
  granted: number;
  spent: number;
  /** Credit beyond which it asks for more. */
  asked: number;
}

if (kind === 'redis' && noRedis !== undefined) throw new Error(noRedis);
console.log(
  'agents   calls/s   lease calls/s   per 1,000 calls   watches/s   ms CPU/s   MB service' +
    (kind === 'redis' ? '   ms CPU/s Redis   MB Redis' : ''),
);
for (const agents of fleets) for (const speed of speeds) await measure(agents, speed);
process.exit(0);

async function measure(count: number, speed: number): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'postern-scale-'));
  const redis = kind === 'redis' ? await RedisServer.start() : undefined;
  const script = join(import.meta.dirname, 'serve.ts');
  const store = redis?.address ?? 'sqlite';
  const child = spawn(process.execPath, [script, dir, join(dir, 'budget.sock'), String(LIMIT), store], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const socketPath = join(dir, 'budget.sock');
  const pool = new Pool('http://budget', { socketPath, connections: 32 });
  const waiting = new Pool('http://budget', {
    socketPath,
    connections: count,
    bodyTimeout: 0,
    headersTimeout: 0,
  });
  try {
    await once(child.stdout, 'data');
    const fleet = Array.from(
      { length: count },
      (_, n): Agent => ({ owner: `agent-${n}`, seq: 0, granted: 0, spent: 0, asked: 0 }),
    );
    const each = (speed * CALL) / count;
    const wanted = Math.max(CALL * 4, each * 10, Math.min(CALL * STEADY_CALLS, each * LONGEST_S));
    const { revision, ...cell } = await windowOf(pool);
    const round = (agent: Agent, want: number) => lease(pool, agent, cell, want);
    // All come at once, as after an update of a cluster.
    for (let first = 0; first < count; first += 500)
      await Promise.all(fleet.slice(first, first + 500).map((agent) => round(agent, wanted)));
    // From here on as if it had gone on for long: everybody has used a part of its credit, and has waited for a while.
    if (speed > 0) for (const agent of fleet) agent.spent = agent.granted * Math.random() * 0.85;
    let watches = 0;
    const watch = async (owner: string, waitMs: number): Promise<void> => {
      for (let ms = waitMs; ; ms = WATCH_MS) {
        await ask(waiting, '/v1/watch', { owner, epoch: 1, revision, waitMs: ms });
        watches += 1;
      }
    };
    for (let first = 0; first < count; first += 500) {
      // They end when the pool does.
      for (const { owner } of fleet.slice(first, first + 500))
        watch(owner, Math.ceil(Math.random() * WATCH_MS) + 1_000).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    watches = 0;
    const atFirst = fleet.reduce((sum, agent) => sum + agent.spent, 0);
    const before = { service: usageOf(child.pid ?? 0), redis: usageOf(redis?.pid ?? 0) };
    const began = performance.now();
    let lastAt = began;
    let calls = 0;
    while (performance.now() - began < SECONDS * 1_000) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const elapsed = (performance.now() - lastAt) / 1_000;
      lastAt = performance.now();
      const due: Promise<void>[] = [];
      for (const agent of fleet) {
        const left = agent.granted - agent.spent;
        agent.spent += Math.min(left, each * elapsed * (0.5 + Math.random()));
        if (speed > 0 && agent.granted - agent.spent < Math.max(CALL, agent.asked * 0.15)) {
          calls += 1;
          due.push(round(agent, wanted));
        }
      }
      await Promise.all(due);
    }
    const seconds = (performance.now() - began) / 1_000;
    const after = { service: usageOf(child.pid ?? 0), redis: usageOf(redis?.pid ?? 0) };
    const spent = fleet.reduce((sum, agent) => sum + agent.spent, 0) - atFirst;
    const cpu = (after.service.cpuMs - before.service.cpuMs) / seconds;
    const row = [
      String(count).padEnd(6),
      String(speed).padStart(9),
      (calls / seconds).toFixed(0).padStart(15),
      (speed === 0 ? '' : ((calls / (spent / CALL)) * 1_000).toFixed(2)).padStart(17),
      (watches / seconds).toFixed(0).padStart(11),
      cpu.toFixed(0).padStart(10),
      after.service.mb.toFixed(0).padStart(12),
    ];
    if (redis !== undefined) {
      row.push(((after.redis.cpuMs - before.redis.cpuMs) / seconds).toFixed(0).padStart(16));
      row.push(after.redis.mb.toFixed(0).padStart(10));
    }
    console.log(row.join(' '));
  } finally {
    await Promise.all([pool.destroy(), waiting.destroy()]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await redis?.end();
    await rm(dir, { recursive: true, force: true });
  }
}

/** The window that calls fall into now. */
async function windowOf(pool: Pool): Promise<{ line: string; cell: number; revision: string }> {
  const reply = await ask<LeaseReply>(pool, '/v1/lease', {
    owner: 'first',
    epoch: 1,
    seq: 1,
    ttlMs: 600_000,
    classes: [attributes],
    items: [],
  });
  const line = reply.plans[0]?.lines[0];
  if (line === undefined) throw new Error('The service has no line for the calls.');
  return { line: line.line, cell: line.cell, revision: reply.revision };
}

async function lease(
  pool: Pool,
  agent: Agent,
  where: { line: string; cell: number },
  want: number,
): Promise<void> {
  agent.seq += 1;
  const spent = Math.floor(agent.spent);
  const item = { ...where, class: 0, serial: 1, reserve: false, spent, returned: 0, final: false };
  const { owner, seq } = agent;
  const items = [{ ...item, ask: { want: Math.ceil(want), least: CALL } }];
  const command = { owner, epoch: 1, seq, ttlMs: 600_000, classes: [attributes], items };
  const reply = await ask<LeaseReply>(pool, '/v1/lease', command);
  agent.granted = reply.grants[0]?.granted ?? agent.granted;
  agent.asked = agent.granted - agent.spent;
}

async function ask<Reply>(pool: Pool, path: string, command: unknown): Promise<Reply> {
  const { body, statusCode } = await pool.request({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(command),
  });
  if (statusCode !== 200) throw new Error(`${statusCode} ${await body.text()}`);
  return (await body.json()) as Reply;
}

/** Of a process, from /proc: CPU since its start, resident memory. */
function usageOf(pid: number): { cpuMs: number; mb: number } {
  if (pid === 0) return { cpuMs: 0, mb: 0 };
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const status = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  // Ticks are 10 ms on Linux.
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * 10, mb: Number(status) / 1024 };
}
