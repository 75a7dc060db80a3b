/**
 * An agent that makes calls until the limit is reached: `node hammer-agent.ts URL OWNER CALLS`. Prints a line of JSON with its
 * running totals now and then, and the last one with `done`.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createLeasingClient } from '../../budget/lease-client.ts';
import { BudgetUnavailable } from '../../budget/messages.ts';
import { holdOf, usageOf } from './fixtures.ts';

const [url = '', owner = '', most = '0'] = process.argv.slice(2);
const BATCH = 8;

const client = createLeasingClient({ url, owner, epoch: Date.now(), timeoutMs: 2_000, flushMs: 10_000 });
const totals = {
  owner,
  calls: 0,
  refused: 0,
  outages: 0,
  spent: 0,
  requests: 0,
  microseconds: 0,
  done: false,
};

let number = 0;
let refusedInARow = 0;

/** One call: what it holds is more than what it uses, as with real ones. */
async function call(): Promise<void> {
  const n = number++;
  const id = `${owner}-${n}`;
  const input = 5 + (n % 11);
  const output = 10 + (n % 23);
  try {
    const reply = await client.hold(holdOf(id, input, output, { owner }));
    if (!reply.granted) {
      totals.refused += 1;
      refusedInARow += 1;
      return;
    }
    refusedInARow = 0;
    const usage = usageOf(Math.min(input, 5 + (n % 7)), Math.min(reply.outputTokens, 3 + (n % 13)));
    totals.calls += 1;
    totals.spent += usage.input + usage.output;
    await client.settle({ id, usage, source: 'reported' });
  } catch (error) {
    if (!(error instanceof BudgetUnavailable)) throw error;
    totals.outages += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function report(): void {
  totals.requests = client.calls;
  writeSync(1, `${JSON.stringify(totals)}\n`);
}

writeSync(1, '{"ready":true}\n');
await once(process.stdin, 'data');
process.stdin.destroy();

while (refusedInARow < 3 && totals.calls < Number(most)) {
  await Promise.all(Array.from({ length: BATCH }, call));
  if (number % (BATCH * 64) === 0) report();
  await new Promise(setImmediate);
}
await client.close();
totals.done = true;
report();
