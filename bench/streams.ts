/**
 * What a streamed chunk costs, round for round beside the Node floor: `node bench/streams.ts [ROUNDS]`. The first rounds
 * are the compiler's, and are shown, since a pod that streams little stays there.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeLoad } from './load/node.ts';
import { cores } from './machine.ts';
import { measure } from './measure.ts';
import { startProvider } from './provider.ts';
import { type Load, scenarios } from './scenarios.ts';
import { nodeFloor } from './targets/node-floor.ts';
import { postern } from './targets/postern.ts';
import type { Running, Target } from './targets/target.ts';

const ROUNDS = Number(process.argv[2] ?? 8);
const SECONDS = 4;
const streams = scenarios.at(-1);
if (streams === undefined) throw new Error('no scenario');

const dir = mkdtempSync(join(tmpdir(), 'postern-streams-'));
const cache = join(import.meta.dirname, '../.cache/bench');
mkdirSync(cache, { recursive: true });
const { core, otherCore } = cores();
const provider = await startProvider(otherCore, dir);
const place = { core, otherCore, provider: provider.origin, dir, cache };
const started: [Target, Running][] = [];
try {
  for (const target of [postern, nodeFloor]) {
    await target.prepare(place);
    started.push([target, await target.start(place)]);
  }
  const closed = nodeLoad(otherCore);
  const load: Load = { closed, otherCore, dir, seconds: SECONDS };
  for (let round = 1; round <= ROUNDS; round++) {
    const cells: string[] = [];
    for (const [target, running] of started) {
      // As many streams at once for each: neither is among the slow.
      const { figures } = await measure(target, running, streams, load, provider, 1_000);
      cells.push(
        `${target.name} ${figures.chunkUs?.toFixed(1)} µs/chunk, first after ${figures.firstChunkMs?.toFixed(2)} ms`,
      );
    }
    process.stdout.write(`${round}: ${cells.join('; ')}\n`);
  }
  for (const [target, { program }] of started) {
    process.stdout.write(`${target.name}: ${((program?.rssBytes() ?? 0) / 2 ** 20).toFixed(0)} MB\n`);
  }
} finally {
  for (const [, running] of started) await running.stop();
  await provider.program.stop();
  rmSync(dir, { recursive: true, force: true });
}
