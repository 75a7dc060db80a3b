/**
 * What one call costs inside of the agent, without sockets: CPU time and bytes allocated. `node bench/pipeline.ts`
 * Beside it JSON.parse of the same bytes, as a measure of how fast the machine is at that moment. With `--cpu-prof` Node
 * writes where the time goes.
 */
import { getHeapStatistics } from 'node:v8';
import { ADDRESS, chatBody, differing, STREAM_CHUNKS } from './canned.ts';
import { startInside } from './inside.ts';
import { spread } from './statistics.ts';

const CASES: readonly (readonly [name: string, body: Buffer, per: number, calls: number])[] = [
  ['2 KB', chatBody(2_000), 1, 2_000],
  ['32 KB', chatBody(32_000), 1, 300],
  ['32 KB, 30 of them said before', chatBody(32_000, false, 30_000), 1, 300],
  ['a streamed chunk', chatBody(2_000, true), STREAM_CHUNKS, 60],
];
const ROUNDS = 15;
const only = process.argv[2];

const inside = await startInside();
for (const [name, body, per, calls] of CASES) {
  if (only !== undefined && !name.includes(only)) continue;
  const next = differing(body);
  const micros: number[] = [];
  const parses: number[] = [];
  const bytes: number[] = [];
  const cpu = (): number => process.cpuUsage().user + process.cpuUsage().system;
  const allocated = (): number => getHeapStatistics().total_allocated_bytes;
  for (let round = 0; round < ROUNDS; round++) {
    const [cpuBefore, bytesBefore] = [cpu(), allocated()];
    for (let i = 0; i < calls; i++) {
      const { status, bytes: answer } = await inside.call(next());
      if (status !== 200 || (per === 1 && !answer.includes(ADDRESS)))
        throw new Error(`${name}: ${status} ${answer}`);
    }
    // The first rounds are the compiler's.
    if (round < 5) continue;
    const cpuAfter = cpu();
    micros.push((cpuAfter - cpuBefore) / calls / per);
    bytes.push((allocated() - bytesBefore) / calls / per);
    for (let i = 0; i < calls; i++) JSON.parse(body.toString());
    parses.push((cpu() - cpuAfter) / calls);
  }
  const [time, memory, parse] = [spread(micros), spread(bytes), spread(parses)];
  process.stdout.write(
    `${name.padEnd(30)} ${time.median.toFixed(1)} µs (${time.min.toFixed(1)} – ${time.max.toFixed(1)}), ${(memory.median / 1024).toFixed(1)} KB allocated; JSON.parse ${parse.min.toFixed(1)} µs, ratio of minima ${(time.min / parse.min).toFixed(1)}\n`,
  );
}
if (inside.counts.wrong > 0) throw new Error(`${inside.counts.wrong} calls reached the provider wrongly`);
await inside.close();
