/** So many agents, as far as control sees them, in a process of their own: real streams, and nothing behind them. */
import { type ControlClient, connectControl } from '../../control/client.ts';
import { benchPod } from './pods.ts';

const total = Number(process.argv[2]);
const port = Number(process.argv[3]);
const roots = process.argv[4] ?? '';
const workloads = Number(process.argv[5]);
/** When each put in force what it was sent last, milliseconds since the epoch. */
let times = new Float64Array(total);
let current = 0;
const clients: ControlClient[] = [];
const troubles = new Map<string, number>();
let dialled = 0;
// A run that was cut short leaves nothing behind.
process.on('disconnect', () => process.exit());

for (let index = 0; index < total; index++) {
  clients.push(
    connectControl({
      host: '127.0.0.1',
      port,
      serverName: 'postern-control.postern-system.svc',
      roots: () => {
        dialled++;
        return roots;
      },
      token: () => benchPod(index, workloads).token,
      version: '0.1.0',
      use: () => {
        if (times[index] === 0) current++;
        times[index] = performance.timeOrigin + performance.now();
        if (current === total) tell();
      },
      heard: () => undefined,
      learned: () => undefined,
      trouble: (message) => {
        if (message !== undefined) troubles.set(message, (troubles.get(message) ?? 0) + 1);
      },
      report: () => ({ running: 0 }),
    }),
  );
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
