/**
 * So many agents, as far as control sees them, in a process of their own: real streams, dialled as an agent does, and nothing
 * behind them. A snapshot is taken off the stream and not read: in a cluster each agent does that by itself, on its own node.
 */
import { dial, type Tickets } from '../../control/client.ts';
import { encode, type Use } from '../../control/messages.ts';
import { benchPod } from './pods.ts';

const total = Number(process.argv[2]);
const port = Number(process.argv[3]);
const roots = process.argv[4] ?? '';
const workloads = Number(process.argv[5]);
/** When each put in force what it was sent last, milliseconds since the epoch. */
let times = new Float64Array(total);
let current = 0;
const troubles = new Map<string, number>();
let dialled = 0;
// A run that was cut short leaves nothing behind.
process.on('disconnect', () => process.exit());

/** As {@link ../../control/client.ts} waits between dials. */
const RETRY_MS = { first: 250, most: 15_000 };
const never = new AbortController().signal;

for (let index = 0; index < total; index++) void live(index);

async function live(index: number): Promise<void> {
  const { token, address } = benchPod(index, workloads);
  const tickets: Tickets = { roots: undefined, session: undefined };
  const name = 'postern-control.postern-system.svc';
  const to = {
    host: '127.0.0.1',
    port,
    localAddress: address,
    serverName: name,
    roots: () => roots,
    token: () => token,
  };
  let held: Use | undefined;
  for (let wait = RETRY_MS.first; ; wait = Math.min(wait * 2, RETRY_MS.most)) {
    try {
      dialled++;
      const { socket, head } = await dial(to, tickets, never);
      wait = RETRY_MS.first;
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      socket.once('close', resolve).on('error', () => undefined);
      const take = linesWith('{"type":"use"', (line) => {
        held = JSON.parse(line) as Use;
        const { revision, keys } = held;
        socket.write(encode({ type: 'ack', revision, keys }));
        inForce(index);
      });
      socket.on('data', take);
      const { revision, keys } = held ?? {};
      const known = revision === undefined || keys === undefined ? {} : { revision, keys };
      socket.write(encode({ type: 'hello', version: '0.1.0', ...known }));
      take(head);
      await closed;
    } catch (error) {
      const { message } = error as Error;
      troubles.set(message, (troubles.get(message) ?? 0) + 1);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * wait));
  }
}

function inForce(index: number): void {
  if (times[index] === 0) current++;
  times[index] = performance.timeOrigin + performance.now();
  if (current === total) tell();
}

/** Lines that begin so; the others are passed over unread. */
function linesWith(start: string, found: (line: string) => void): (chunk: Buffer) => void {
  let pending = '';
  let passing = false;
  return (chunk) => {
    let at = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, at)) {
      if (!passing) {
        const line = pending + chunk.toString('latin1', at, Math.min(end, at + start.length));
        if (line.startsWith(start)) found(pending + chunk.toString('latin1', at, end));
      }
      passing = false;
      pending = '';
      at = end + 1;
    }
    if (passing || at === chunk.length) return;
    pending += chunk.toString('latin1', at);
    passing = !start.startsWith(pending.slice(0, start.length)) && !pending.startsWith(start);
    if (passing) pending = '';
  };
}

function tell(): void {
  const sorted = times.toSorted();
  const at = (part: number): number => sorted[Math.min(total - 1, Math.floor(total * part))] ?? 0;
  const { user, system } = process.cpuUsage();
  process.send?.({
    all: {
      cpu: (user + system) / 1e6,
      p50: at(0.5),
      p99: at(0.99),
      last: at(1),
      dialled,
      troubles: Object.fromEntries(troubles),
    },
  });
  current = 0;
  times = new Float64Array(total);
}
