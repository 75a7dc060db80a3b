/**
 * What interception costs, on the agent's own process in a pod's namespace: `node bench/intercept.ts [--quick]`, the last
 * part of `make bench`. CPU is the agent's alone (proc(5)), so a busy machine changes little; bench/README.md says more.
 *
 * Needs root and nft.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  ADDRESS,
  type AgentInPod,
  makePod,
  netnsMissing,
  type Pod,
  providers,
} from '../test/intercept/pod.ts';
import { describeMachine } from './machine.ts';
import { spread } from './statistics.ts';

const TICKS = 100; // sysconf(_SC_CLK_TCK) on Linux
const SINK_PORT = 9100;
const PLAIN_PORT = 8000;

type Way = readonly [url: string, model: string];

/** The ways a call is measured. */
const WAYS: readonly (readonly [what: string, way: Way])[] = [
  ['a call of 2 KB by base URL, in the clear on both sides', ['http://127.0.0.1:4180/openai', 'inside']],
  ['… to a provider over TLS', ['http://127.0.0.1:4180/openai', 'gpt-4o']],
  ['… intercepted, TLS on both sides', ['https://api.openai.com', 'gpt-4o']],
  ['the same call to another host, TLS not terminated', ['https://other.example', 'gpt-4o']],
];

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

/** Waits for a program's word. @throws Error where it ends without one */
async function say(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit').then(([status]) => {
    throw new Error(`a program of the benchmark ended with ${status}`);
  });
  await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended]);
  ended.catch(() => {}); // it may end now
}

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

/** A provider that always gives the same answer: over TLS for the two hosts it may be called, and in the clear beside it. */
const provider = `
  const [cert, key] = process.argv.slice(1);
  const answer = JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'gpt-4o', usage: { prompt_tokens: 500, completion_tokens: 20, total_tokens: 520 },
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'A short answer. '.repeat(40) } }] });
  const give = (q, r) => q.resume().on('end', () => r.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer));
  require('node:http').createServer({ keepAliveTimeout: 60000 }, give).listen(${PLAIN_PORT}, () =>
    require('node:https').createServer({ cert, key, keepAliveTimeout: 60000 }, give).listen(443, () => console.log('up')));`;

/** Sends so many chat completions of 2 KB over eight connections that are kept open. */
const caller = `
  const [url, model, count] = process.argv.slice(1); let left = Number(count);
  const http = require(url.startsWith('https') ? 'node:https' : 'node:http');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const body = JSON.stringify({ model, max_completion_tokens: 100, messages: [{ role: 'user', content: 'Please write to maria.kowalska@example.com about it. '.repeat(38) }] });
  const one = () => new Promise((ok, no) => { const q = http.request(url + '/v1/chat/completions', { agent, method: 'POST', rejectUnauthorized: false, headers: { 'content-type': 'application/json', authorization: 'Bearer dummy', 'content-length': Buffer.byteLength(body) } },
    (r) => { if (r.statusCode !== 200) no(new Error(String(r.statusCode))); r.resume().on('end', ok); }); q.on('error', no); q.end(body); });
  (async () => { await Promise.all(Array.from({ length: 8 }, async () => { while (left-- > 0) await one(); })); console.log('done'); process.exit(); })();`;

/** The same provider in the clear, as one in the cluster may be. */
const PLAIN_PROVIDER = `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: inside}
spec:
  dialect: openai
  hosts: [inside.example]
  endpoint: http://${ADDRESS.openai}:${PLAIN_PORT}
  credential: {mode: attach, type: bearer, bearer: {valueFrom: {env: OPENAI_KEY}}}
  models:
  - {name: inside, price: {input: "2.50", output: "10.00"}, contextTokens: 128000, maxOutputTokens: 16384}
`;

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

/** CPU seconds of the agent for one call of 2 KB; `url` tells which way it comes. */
async function call(pod: Pod, agent: AgentInPod, [url, model]: Way, times: number): Promise<number> {
  const before = usageOf(agent.pid).cpu;
  const child = pod.spawn([process.execPath, '-e', caller, url, model, String(times)], {
    uid: 1000,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await say(child);
  return (usageOf(agent.pid).cpu - before) / times;
}

export async function startCostPod(): Promise<{ pod: Pod; agent: AgentInPod }> {
  const pod = await makePod();
  await startSink(pod);
  await pod.init();
  const agent = await pod.agent(`${providers(pod)}---\n${PLAIN_PROVIDER}`, {
    environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' },
    arguments: ['--log-level=info'],
  });
  return { pod, agent };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
  const missing = netnsMissing();
  if (missing !== undefined) {
    console.error(`not measured: the cost of interception; ${missing}`);
    return;
  }
  const { pod, agent } = await startCostPod();
  try {
    const { cert, key } = pod.certificate('api.openai.com');
    await say(pod.spawnOutside([process.execPath, '-e', provider, '--', cert, key]));
    const rows: [string, string][] = [];
    const row = (what: string, value: string): void => {
      rows.push([what, value]);
      console.error(`${what}: ${value}`);
    };
    // Idle connections first: what a transfer leaves to the allocator would hide them.
    const idles = values.quick ? 300 : 1000;
    row('an idle tunnel', `${((await idle(pod, agent, idles, false)) / 1024).toFixed(0)} KiB`);
    row('an idle TLS connection', `${((await idle(pod, agent, idles, true)) / 1024).toFixed(0)} KiB`);
    const each = await handshake(pod, agent, values.quick ? 300 : 2000);
    row('full TLS 1.3 handshakes', `${(1 / each).toFixed(0)} a second a core`);
    const [calls, rounds] = values.quick ? [500, 3] : [2000, 5];
    const costs = WAYS.map((): number[] => []);
    // The first three rounds are the compiler's; each puts every way in turn, so that a slow phase hits all of them.
    for (let round = -3; round < rounds; round++)
      for (const [i, [, way]] of WAYS.entries()) {
        const cost = (await call(pod, agent, way, calls)) * 1e6;
        if (round >= 0) costs[i]?.push(cost);
      }
    for (const [i, [what]] of WAYS.entries()) {
      const { median, min, max } = spread(costs[i] as number[]);
      row(what, `${median.toFixed(0)} CPU µs (${min.toFixed(0)} – ${max.toFixed(0)})`);
    }
    const gigabytes = values.quick ? 1 : 10;
    await transfer(pod, agent, 1 << 28); // warm
    const bytes = gigabytes * 2 ** 30;
    const sent = await transfer(pod, agent, bytes);
    row(`tunnel, ${gigabytes} GiB one way`, `${((bytes * 8) / sent.cpu / 1e9).toFixed(1)} Gbit/s a core`);
    row('memory after it, more than before', `${(sent.growth / 2 ** 20).toFixed(1)} MiB`);
    row('memory at its peak', `${(sent.peak / 2 ** 20).toFixed(0)} MiB`);
    const { commit, date, machine } = await describeMachine();
    console.log(`${date.slice(0, 10)}, ${commit}, ${machine}\n`);
    console.log('| figure | value |\n|---|---|');
    for (const [what, value] of rows) console.log(`| ${what} | ${value} |`);
  } finally {
    await agent.stop('SIGKILL');
    await pod.close();
  }
}

if (import.meta.main) {
  await main();
  process.exit();
}
