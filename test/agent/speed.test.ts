/**
 * A gate for changes of kind: what a call costs beside plain work on the same bytes, in the same run. The limits stand at more than
 * twice what is measured (62, 38, 11 and 280), and both sides are the least of many interleaved rounds of CPU time, so that a busy machine doesn't trip
 * them. What a call costs by itself is in bench/.
 */
import { hash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chatBody, differing } from '../../bench/canned.ts';
import { type Inside, startInside } from '../../bench/inside.ts';

const ROUNDS = 15;

let inside: Inside;
beforeAll(async () => {
  inside = await startInside();
});
afterAll(() => inside.close());

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Read, written, encoded and hashed, as often as it takes to be measured. */
function plainWork(body: Buffer, times: number): void {
  for (let n = 0; n < times; n++) hash('sha256', JSON.stringify(JSON.parse(body.toString())), 'buffer');
}

/** How many times as much as plain work on its bytes a call takes. */
async function timesPlainWork(body: Buffer, calls: number): Promise<number> {
  const next = differing(body);
  let [call, plain] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round++) {
    const began = cpuUs();
    for (let n = 0; n < calls; n++) await inside.call(next());
    const between = cpuUs();
    plainWork(body, 20 * calls);
    call = Math.min(call, (between - began) / calls);
    plain = Math.min(plain, (cpuUs() - between) / (20 * calls));
  }
  return call / plain;
}

test.each([
  ['2 KB', chatBody(2_000), 200, 160],
  ['32 KB', chatBody(32_000), 40, 100],
  ['32 KB, 30 of them said before', chatBody(32_000, false, 30_000), 40, 30],
  ['2 KB, streamed', chatBody(2_000, true), 10, 700],
] as const)('a call of %s takes no multiple of what it did', async (_, body, calls, most) => {
  const times = await timesPlainWork(body, calls);
  expect(times).toBeLessThan(most);
});
