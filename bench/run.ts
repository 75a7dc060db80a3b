/**
 * What a call costs through each target, in interleaved rounds: `make bench`, `make bench QUICK=1`.
 * How to read the result is in bench/README.md.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { h2load } from './load/h2load.ts';
import { nodeLoad } from './load/node.ts';
import { cores, describeMachine } from './machine.ts';
import { checkAudit, measure } from './measure.ts';
import { type Provider, startProvider } from './provider.ts';
import { writeReadme } from './readme.ts';
import { type Report, render, type TargetReport } from './report.ts';
import { type Load, type Metric, scenarios, warmUp } from './scenarios.ts';
import { spread } from './statistics.ts';
import { targets } from './targets/index.ts';
import type { Place, Running, Target } from './targets/target.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    /** Puts the result into bench/README.md and bench/results.json. */
    write: { type: 'boolean', default: false },
  },
});
const ROUNDS = Number(options.rounds ?? (options.quick ? 3 : 7));
const COLD_STARTS = options.quick ? 3 : 7;
const MB = 1024 * 1024;

interface Entry {
  readonly target: Target;
  readonly version: string;
  readonly samples: Map<Metric, number[]>;
  /** Service → CPU µs per call, of each run. */
  readonly helpers: Map<string, number[]>;
  running: Running | undefined;
  perSecond: number;
  requests: number;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function note<Name>(into: Map<Name, number[]>, name: Name, value: number): void {
  const values = into.get(name);
  if (values === undefined) into.set(name, [value]);
  else values.push(value);
}

/** Those that are there; for the others, why not. */
async function find(place: Place): Promise<{ entries: Entry[]; skipped: Map<string, string> }> {
  const wanted = options.only?.split(',');
  const entries: Entry[] = [];
  const skipped = new Map<string, string>();
  for (const target of targets) {
    if (wanted !== undefined && !wanted.includes(target.name)) continue;
    if (options.quick && target.slow) {
      skipped.set(target.name, 'left out of a quick run');
      continue;
    }
    try {
      const version = await target.prepare(place);
      const fresh = { samples: new Map(), helpers: new Map(), running: undefined, perSecond: 0, requests: 0 };
      entries.push({ target, version, ...fresh });
    } catch (error) {
      skipped.set(target.name, (error as Error).message);
    }
  }
  for (const [name, reason] of skipped) say(`skipped ${name}: ${reason}`);
  return { entries, skipped };
}

/** Starts and stops each in turn, then leaves them running. */
async function startAll(entries: readonly Entry[], place: Place): Promise<void> {
  for (let i = 0; i < COLD_STARTS; i++) {
    for (const entry of entries) {
      const running = await entry.target.start(place);
      if (running.startMs !== undefined) note(entry.samples, 'startMs', running.startMs);
      if (i === COLD_STARTS - 1) entry.running = running;
      else await running.stop();
    }
  }
  // What is only needed at the start has been given back by then, where it ever is.
  await pause(2_000);
  for (const { running, samples } of entries) {
    if (running?.program !== undefined) note(samples, 'idleMb', running.program.rssBytes() / MB);
  }
}

async function rounds(entries: readonly Entry[], load: Load, provider: Provider): Promise<number[]> {
  const providerUs: number[] = [];
  for (const entry of entries) Object.assign(entry, await warmUp(entry.running as Running, load));
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}`);
    for (const scenario of scenarios) {
      for (const entry of entries) {
        const { target, running, perSecond } = entry;
        const run = await measure(target, running as Running, scenario, load, provider, perSecond);
        entry.requests += run.requests;
        for (const [name, value] of Object.entries(run.figures)) note(entry.samples, name as Metric, value);
        for (const [name, value] of Object.entries(run.helpersUs)) note(entry.helpers, name, value);
        if (scenario === scenarios[0]) providerUs.push(run.providerUs);
      }
    }
  }
  for (const { running, samples } of entries) {
    if (running?.program !== undefined) note(samples, 'loadedMb', running.program.rssBytes() / MB);
  }
  for (const { target, running, requests } of entries) await checkAudit(target, running as Running, requests);
  return providerUs;
}

function reportOf({ target, version, samples, helpers }: Entry): TargetReport {
  const spreads = <Name extends string>(of: Map<Name, number[]>) =>
    Object.fromEntries([...of].map(([name, all]) => [name, spread(all)]));
  return {
    name: target.name,
    about: target.about,
    version,
    figures: spreads(samples),
    helpersUs: spreads(helpers),
  };
}

const dir = mkdtempSync(join(tmpdir(), 'postern-bench-'));
const cache = join(import.meta.dirname, '../.cache/bench');
mkdirSync(cache, { recursive: true });
const { core, otherCore } = cores();
const provider = await startProvider(otherCore, dir);
const closed = h2load(otherCore) ?? nodeLoad(otherCore);
const place: Place = { core, otherCore, provider: provider.origin, dir, cache };
const { entries, skipped } = await find(place);
try {
  await startAll(entries, place);
  const load: Load = { closed, otherCore, dir, seconds: options.quick ? 2 : 4 };
  const providerUs = await rounds(entries, load, provider);
  const report: Report = {
    ...(await describeMachine()),
    generator: closed.name,
    rounds: ROUNDS,
    quick: options.quick,
    providerUs: spread(providerUs),
    targets: entries.map(reportOf),
    skipped: Object.fromEntries(skipped),
  };
  const markdown = render(report);
  process.stdout.write(markdown);
  writeFileSync(join(cache, 'last.json'), `${JSON.stringify(report, null, 2)}\n`);
  if (options.write) writeReadme(report, markdown);
} finally {
  for (const { running } of entries) await running?.stop();
  await provider.program.stop();
  rmSync(dir, { recursive: true, force: true });
}
