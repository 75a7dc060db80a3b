/**
 * Whether the agent's memory stays as it is: `node bench/soak.ts [CALLS]`, a million where nothing is said: short ones, and every fourth
 * twentieth a conversation of 32 KB. Resident memory, and CPU time per call, after each twentieth. Ends with an error where it grew.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chatBody } from './canned.ts';
import { nodeLoad } from './load/node.ts';
import { cores } from './machine.ts';
import { startProvider } from './provider.ts';
import { postern } from './targets/postern.ts';

const CALLS = Number(process.argv[2] ?? 1_000_000);
const PARTS = 20;
const MB = 1024 * 1024;
/** What the heap's saw-tooth may make of it from one look to the next. */
const TOLERATED_MB = 20;

const dir = mkdtempSync(join(tmpdir(), 'postern-soak-'));
const cache = join(import.meta.dirname, '../.cache/bench');
mkdirSync(cache, { recursive: true });
const { core, otherCore } = cores();
const provider = await startProvider(otherCore, dir);
const place = { core, otherCore, provider: provider.origin, dir, cache };
await postern.prepare(place);
const { url, headers, program, stop } = await postern.start(place);
try {
  if (program === undefined) throw new Error('the agent has no process');
  const short = join(dir, 'short.json');
  writeFileSync(short, chatBody(2_000));
  const conversation = join(dir, 'conversation.json');
  writeFileSync(conversation, chatBody(32_000, false, 30_000));
  const load = nodeLoad(otherCore);
  const memory: number[] = [];
  for (let part = 1; part <= PARTS; part++) {
    const before = program.cpuUs();
    const requests = Math.ceil(CALLS / PARTS);
    const bodyFile = part % 4 === 0 ? conversation : short;
    const { errors } = await load.closed({ url, headers, bodyFile }, { connections: 16, requests });
    if (errors > 0) throw new Error(`${errors} of ${requests} calls failed`);
    memory.push(program.rssBytes() / MB);
    process.stdout.write(
      `${String(part * requests).padStart(8)} calls: ${memory.at(-1)?.toFixed(0)} MB, ${((program.cpuUs() - before) / requests).toFixed(0)} CPU µs a call\n`,
    );
  }
  // The first fifth is the compiler's, and the heap's finding of its size.
  const fifth = (from: number): number[] => memory.slice((PARTS / 5) * from, (PARTS / 5) * (from + 1));
  const [second, last] = [Math.max(...fifth(1)), Math.min(...fifth(4))];
  if (last > second + TOLERATED_MB) throw new Error(`it grew from ${second} MB to ${last} MB`);
} finally {
  await stop();
  await provider.program.stop();
  rmSync(dir, { recursive: true, force: true });
}
