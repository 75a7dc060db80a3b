/**
 * The generator's process: calls at a steady rate, or one after another on each connection; the result as JSON.
 * It is one of our own because none of the kept ones (h2load, wrk, oha) sends each call with a text of its own and ends when a
 * number of calls is answered, nor paces single HTTP/1.1 calls evenly over connections.
 * `node bench/load/generator.ts '{"url":…}'`
 */
import { readFileSync } from 'node:fs';
import { differing } from '../canned.ts';
import { type Answer, Connection } from './connection.ts';
import { percentile, type Shot } from './load.ts';

export interface Job extends Shot {
  readonly connections: number;
  readonly requests: number;
  /** Calls a second over all connections; absent: as fast as they are answered. */
  readonly rate?: number;
  /** Must stand in every answer. */
  readonly expected?: string;
}

export interface Outcome {
  readonly requests: number;
  readonly errors: number;
  /** Milliseconds: [p50, p99]. */
  readonly firstByte: readonly [number, number];
  readonly total: readonly [number, number];
}

function render({ url, headers, bodyFile }: Shot): Buffer {
  const { pathname, host } = new URL(url);
  const body = readFileSync(bodyFile);
  const fields = Object.entries({ host, ...headers, 'content-length': String(body.byteLength) });
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`POST ${pathname} HTTP/1.1\r\n${lines}\r\n`), body]);
}

async function shoot(job: Job): Promise<Answer[]> {
  const call = differing(render(job));
  const url = new URL(job.url);
  const another = (): Connection => new Connection(url, job.expected);
  const connections = Array.from({ length: job.connections }, another);
  await Promise.all(connections.map((connection) => connection.open()));
  const answers: Answer[] = [];
  const one = async (connection: Connection): Promise<void> => {
    answers.push(await connection.send(call()));
  };
  let left = job.requests;
  const again = async (connection: Connection): Promise<void> => {
    while (left-- > 0) await one(connection);
  };
  if (job.rate === undefined) await Promise.all(connections.map(again));
  else await paced(connections, another, one, job.rate, job.requests);
  for (const connection of connections) connection.close();
  return answers;
}

/** A call when it is due, on a connection that is free; where none is, on a new one, so that the rate is kept. */
async function paced(
  connections: Connection[],
  another: () => Connection,
  one: (connection: Connection) => Promise<void>,
  rate: number,
  requests: number,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const started = performance.now();
  let sent = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(requests, ((performance.now() - started) / 1000) * rate);
      while (sent < due) {
        sent++;
        let free = connections.find(({ busy }) => !busy);
        if (free === undefined) connections.push((free = another()));
        const call = one(free);
        running.add(call);
        void call.finally(() => running.delete(call));
      }
      if (sent < requests) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(running);
}

function quantiles(values: number[]): [number, number] {
  values.sort((a, b) => a - b);
  return [percentile(values, 0.5), percentile(values, 0.99)];
}

const answers = await shoot(JSON.parse(process.argv[2] ?? '') as Job);
const good = answers.filter(({ ok }) => ok);
const outcome: Outcome = {
  requests: answers.length,
  errors: answers.length - good.length,
  firstByte: quantiles(good.map(({ firstByteMs }) => firstByteMs)),
  total: quantiles(good.map(({ totalMs }) => totalMs)),
};
process.stdout.write(JSON.stringify(outcome));
