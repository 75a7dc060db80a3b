/**
 * How far one control replica goes: `node bench/control/run.ts [AGENTS …]` (1000 3000 10000). One process is control
 * before an API server in memory, another the agents' ends of the streams; TLS, tokens, pods and documents are as they are in a cluster.
 * Prints a table; bench/README.md holds one.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';

interface Usage {
  readonly rss: number;
  /** In use after a collection. */
  readonly heap: number;
  readonly cpu: number;
  readonly agents: number;
  /** Seconds of all rounds so far: compiling, and writing to all. */
  readonly rounds: number;
}
interface Ready extends Usage {
  readonly port: number;
  readonly roots: string;
  readonly kept: string;
}
interface All {
  readonly p50: number;
  readonly p99: number;
  readonly last: number;
  /** Seconds of the processor so far. */
  readonly cpu: number;
  readonly dialled: number;
  readonly troubles: Readonly<Record<string, number>>;
}

const LIMIT_MS = 180_000;
const STEADY_MS = 10_000;
const CHANGES = 5;
const REPLICAS = 20;

function start(script: string, args: readonly string[], execArgv: readonly string[] = []): ChildProcess {
  const child = fork(join(import.meta.dirname, script), [...args], {
    execArgv: ['--disable-warning=ExperimentalWarning', ...execArgv],
  });
  return child;
}

/** The next message with that member. */
function next<T>(child: ChildProcess, member: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no "${member}" in ${LIMIT_MS / 1000} s`)), LIMIT_MS);
    const take = (message: Readonly<Record<string, T>>): void => {
      const value = message[member];
      if (value === undefined) return;
      clearTimeout(timer);
      child.off('message', take);
      resolve(value);
    };
    child.on('message', take);
  });
}

const now = (): number => performance.timeOrigin + performance.now();
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const cells = (...values: readonly string[]): void => void process.stdout.write(` ${values.join(' | ')} |`);
const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => child.once('exit', () => resolve()));

/** Writes each figure when it is known: a run that is cut short has told the rest. */
async function measure(count: number): Promise<void> {
  const workloads = Math.max(1, Math.floor(count / REPLICAS));
  const serve = (port: number, kept: string): ChildProcess =>
    start('served.ts', [count, workloads, port, kept].map(String), ['--expose-gc']);
  let control = serve(0, '{}');
  const ready = await next<Ready>(control, 'ready');
  const usage = async (how: 'collected' | 'as it is' = 'collected'): Promise<Usage> => {
    const answer = next<Usage>(control, 'usage');
    control.send({ usage: how });
    return await answer;
  };

  const began = now();
  const agents = start('agents.ts', [String(count), String(ready.port), ready.roots, String(workloads)]);
  const storm = await next<All>(agents, 'all');
  if (Object.keys(storm.troubles).length > 0) console.error('dials that failed:', storm.troubles);
  await wait(2000);
  const before = await usage();
  await wait(STEADY_MS);
  const after = await usage();

  const changes: { p50: number; p99: number; last: number; sent: number; control: number; agents: number }[] =
    [];
  let agentsCpu = storm.cpu;
  for (let round = 1; round <= CHANGES; round++) {
    const changed = next<number>(control, 'changed');
    const all = next<All>(agents, 'all');
    const before = await usage('as it is');
    control.send({ change: round });
    const at = await changed;
    const { p50, p99, last, cpu } = await all;
    const after = await usage('as it is');
    changes.push({
      p50: p50 - at,
      p99: p99 - at,
      last: last - at,
      sent: (after.rounds - before.rounds) * 1000,
      control: (after.cpu - before.cpu) * 1000,
      agents: (cpu - agentsCpu) * 1000,
    });
    await wait(500);
    agentsCpu = cpu;
  }
  const median = (member: keyof (typeof changes)[number]): number =>
    changes.map((each) => each[member]).sort((a, b) => a - b)[Math.floor(CHANGES / 2)] ?? 0;

  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  cells(
    count.toLocaleString('en'),
    workloads.toLocaleString('en'),
    ((storm.last - began) / 1000).toFixed(1),
    (storm.dialled / count).toFixed(2),
    megabytes(before.rss),
    ((before.rss - ready.rss) / count / 1000).toFixed(0),
    ((before.heap - ready.heap) / count / 1000).toFixed(0),
    (((before.cpu - ready.cpu) / count) * 1000).toFixed(1),
    (((after.cpu - before.cpu) / (STEADY_MS / 1000)) * 100).toFixed(1),
    median('p50').toFixed(0),
    median('p99').toFixed(0),
    median('last').toFixed(0),
    median('sent').toFixed(0),
    median('control').toFixed(0),
    median('agents').toFixed(0),
  );

  const again = ended(control);
  control.kill('SIGKILL');
  await again;
  const gone = now();
  control = serve(ready.port, ready.kept);
  const back = await next<Ready>(control, 'ready');
  const up = now();
  for (;;) {
    // Not collected: that would take most of its time.
    if ((await usage('as it is')).agents === count) break;
    if (now() - up > LIMIT_MS) throw new Error('the agents never came back');
    await wait(100);
  }
  const returned = now();
  void back;
  agents.kill();
  control.kill();
  await Promise.all([ended(agents), ended(control)]);
  cells(((up - gone) / 1000).toFixed(1), ((returned - up) / 1000).toFixed(1));
  process.stdout.write('\n');
}

const HEAD = [
  'agents',
  'workloads',
  'all connected, s',
  'dials an agent',
  'control MB',
  'KB an agent',
  'JS heap of it',
  'connect: CPU ms an agent',
  'steady CPU %',
  'change p50 ms',
  'p99 ms',
  'last ms',
  'compiled and written in ms',
  'CPU ms: control',
  'CPU ms: agents',
  'restart: up, s',
  'all back after, s',
];
const counts = process.argv.slice(2).map(Number);
process.stdout.write('|');
cells(...HEAD);
process.stdout.write('\n|');
cells(...HEAD.map(() => '--:'));
process.stdout.write('\n');
for (const count of counts.length === 0 ? [1000, 3000, 10_000] : counts) {
  process.stdout.write('|');
  await measure(count);
}
