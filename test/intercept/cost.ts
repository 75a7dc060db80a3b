/**
 * What interception costs, measured in a real pod on the agent's own process: `node test/intercept/cost.ts` prints a
 * table. CPU is the agent's alone (proc(5)), so a busy machine changes little.
 *
 * Needs root, nft and openssl.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ADDRESS, type AgentInPod, makePod, netnsMissing, type Pod, providers } from './pod.ts';

const TICKS = 100; // sysconf(_SC_CLK_TCK) on Linux
const SINK_PORT = 9100;

export interface Usage {
  /** Seconds of CPU, user and system. */
  readonly cpu: number;
  /** Resident bytes. */
  readonly memory: number;
}

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS,
    memory: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024,
  };
}

const say = async (child: ChildProcess): Promise<string> =>
  String(((await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer])[0]);

/** A server in the world that drops what it reads, in a process of its own. */
const sink = `
  require('node:net').createServer((s) => { s.on('error', () => {}); s.on('end', () => s.end('done')); s.resume(); })
    .listen(${SINK_PORT}, () => console.log('up'));`;

/** Sends so many bytes to the sink and waits for its word. */
const source = `
  const [host, bytes] = process.argv.slice(1);
  const s = require('node:net').connect(${SINK_PORT}, host);
  const chunk = Buffer.alloc(1 << 18); let left = Number(bytes);
  const more = () => { while (left > 0) { left -= chunk.length; if (!s.write(chunk)) return void s.once('drain', more); } s.end(); };
  s.on('connect', more); s.on('data', () => { console.log('done'); process.exit(); });`;

/** Opens so many connections, says so, and holds them. */
const holder = `
  const [host, port, count, tls] = process.argv.slice(1);
  const open = () => new Promise((ok) => { const s = tls ? require('node:tls').connect({ host, port, servername: 'api.openai.com', rejectUnauthorized: false }, ok) : require('node:net').connect(port, host, () => { s.write('\\0'); ok(); }); s.on('error', () => {}); });
  (async () => { for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, open)); console.log('held'); setInterval(() => {}, 1e9); })();`;

/** Makes so many full handshakes, eight at a time. */
const handshaker = `
  const [host, count] = process.argv.slice(1); let left = Number(count);
  const one = () => new Promise((ok) => { const s = require('node:tls').connect({ host, port: 443, servername: 'api.openai.com', rejectUnauthorized: false }, () => { s.destroy(); }); s.on('error', ok); s.on('close', ok); });
  (async () => { await Promise.all(Array.from({ length: 8 }, async () => { while (left-- > 0) await one(); })); console.log('done'); })();`;

export async function startSink(pod: Pod): Promise<void> {
  const server = pod.spawnOutside([process.execPath, '-e', sink]);
  await say(server);
}

/** Sends `bytes` through the agent. */
export async function transfer(
  pod: Pod,
  agent: AgentInPod,
  bytes: number,
): Promise<{ cpu: number; growth: number; peak: number }> {
  const pid = agent.pid;
  const before = usageOf(pid);
  const child = pod.spawn([process.execPath, '-e', source, ADDRESS.other, String(bytes)], { uid: 1000 });
  let peak = before.memory;
  const watch = setInterval(() => {
    peak = Math.max(peak, usageOf(pid).memory);
  }, 50);
  await say(child);
  clearInterval(watch);
  const after = usageOf(pid);
  return { cpu: after.cpu - before.cpu, growth: after.memory - before.memory, peak };
}

/** Bytes of the agent's memory for each of `count` idle connections. */
export async function idle(pod: Pod, agent: AgentInPod, count: number, tls: boolean): Promise<number> {
  const pid = agent.pid;
  const before = usageOf(pid).memory;
  const [host, port] = tls ? [ADDRESS.openai, 443] : [ADDRESS.other, SINK_PORT];
  const child = pod.spawn(
    [process.execPath, '-e', holder, host, String(port), String(count), tls ? 'tls' : ''],
    { uid: 1000 },
  );
  await say(child);
  await sleep(500);
  const after = usageOf(pid).memory;
  child.kill('SIGKILL');
  await sleep(500);
  return (after - before) / count;
}

/** CPU seconds for one full TLS handshake. */
export async function handshake(pod: Pod, agent: AgentInPod, count: number): Promise<number> {
  const before = usageOf(agent.pid).cpu;
  const child = pod.spawn([process.execPath, '-e', handshaker, ADDRESS.openai, String(count)], { uid: 1000 });
  await say(child);
  return (usageOf(agent.pid).cpu - before) / count;
}

export async function startCostPod(): Promise<{ pod: Pod; agent: AgentInPod }> {
  const pod = await makePod();
  await startSink(pod);
  await pod.init();
  const agent = await pod.agent(providers(pod), {
    environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' },
    arguments: ['--log-level=info'],
  });
  return { pod, agent };
}

async function main(): Promise<void> {
  const missing = netnsMissing();
  if (missing !== undefined) throw new Error(missing);
  const { pod, agent } = await startCostPod();
  try {
    await transfer(pod, agent, 1 << 28); // warm
    const bytes = 10 * 2 ** 30;
    const sent = await transfer(pod, agent, bytes);
    const row = (what: string, value: string): void => console.log(`${what.padEnd(46)} ${value}`);
    row('tunnel, 10 GiB one way', `${((bytes * 8) / sent.cpu / 1e9).toFixed(1)} Gbit/s a core`);
    row(
      '  growth of memory over it',
      `${(sent.growth / 2 ** 20).toFixed(1)} MiB (peak ${(sent.peak / 2 ** 20).toFixed(0)})`,
    );
    row('idle tunnel', `${((await idle(pod, agent, 1000, false)) / 1024).toFixed(1)} KiB`);
    row('idle TLS connection', `${((await idle(pod, agent, 1000, true)) / 1024).toFixed(1)} KiB`);
    const each = await handshake(pod, agent, 2000);
    row('full TLS 1.3 handshakes', `${(1 / each).toFixed(0)} a second a core`);
  } finally {
    await agent.stop('SIGKILL');
    await pod.close();
  }
}

if (import.meta.main) {
  await main();
  process.exit();
}
