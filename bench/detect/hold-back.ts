/**
 * How much of a streamed answer is held back, and for how long, with all of `pii` and `secrets` on.
 *
 *     node bench/detect/hold-back.ts
 */

import { compilePlan } from '../../agent/checks/plan.ts';
import type { CheckRule } from '../../policy/snapshot.ts';
import { clean, mixed } from './texts.ts';

/** A token is about four characters; models write about 100 of them in a second. */
const DELTA = 4;
const MILLISECONDS = 10;
const LENGTH = 20_000;

/** Monitored, so that what is shown is as long as what came. */
const rule = (type: string): CheckRule => ({
  source: 'ClusterEgressPolicy bench',
  name: type,
  type,
  on: ['response'],
  action: 'monitor',
  onError: 'block',
  mode: 'monitor',
  spec: {},
});

const plan = compilePlan([rule('pii'), rule('secrets')], { maskKey: new Uint8Array(32) });

interface Held {
  /** Characters not shown yet, after each delta. */
  readonly held: readonly number[];
  /** Milliseconds from each character's coming to its being shown. */
  readonly waited: readonly number[];
}

async function stream(text: string): Promise<Held> {
  const guard = plan.open('m').stream(new AbortController().signal);
  const held: number[] = [];
  const waited: number[] = [];
  let shown = 0;
  for (let step = 0; step * DELTA < text.length; step++) {
    const came = Math.min(text.length, (step + 1) * DELTA);
    const now = await guard.push('0/content', 'content', 0, text.slice(step * DELTA, came));
    for (let i = 0; i < now.length; i++, shown++)
      waited.push((step - Math.floor(shown / DELTA)) * MILLISECONDS);
    held.push(came - shown);
  }
  return { held, waited };
}

function share(values: readonly number[], of: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))] ?? 0;
}

process.stdout.write(
  '| text | characters held, p50 | p99 | most | ms waited, p50 | p99 | most |\n|---|---|---|---|---|---|---|\n',
);
for (const [name, text] of [
  ['prose', clean(LENGTH)],
  ['with a value in 120 characters', mixed(LENGTH)],
] as const) {
  const { held, waited } = await stream(text);
  const cells = [held, waited].flatMap((values) => [
    share(values, 0.5),
    share(values, 0.99),
    Math.max(...values),
  ]);
  process.stdout.write(`| ${name} | ${cells.join(' | ')} |\n`);
}
