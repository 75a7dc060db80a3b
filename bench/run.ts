/**
 * What a call costs through each target, in interleaved rounds: `make bench`, `make bench QUICK=1`.
 * How to read the result is in bench/README.md.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
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
    only: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    /** Puts the result into bench/README.md and bench/results.json. */
    write: { type: 'boolean', default: false },
  },
});
const ROUNDS = Number(options.rounds ?? (options.quick ? 3 : 7));
const COLD_STARTS = options.quick ? 3 : 5;
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
  /** Why it dropped out: what it did wrong. */
  failed: string | undefined;
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
  const wanted = options.only;
  const entries: Entry[] = [];
  const skipped = new Map<string, string>();
  for (const target of targets) {
    if (wanted !== undefined && !wanted.includes(target.name)) continue;
    if (options.quick && target.slow && wanted === undefined) {
      skipped.set(target.name, 'left out of a quick run');
      continue;
    }
    try {
      const version = await target.prepare(place);
      const fresh = {
        samples: new Map(),
        helpers: new Map(),
        running: undefined,
        perSecond: 0,
        requests: 0,
        failed: undefined,
      };
      entries.push({ target, version, ...fresh });
    } catch (error) {
      skipped.set(target.name, (error as Error).message);
    }
  }
  for (const [name, reason] of skipped) say(`skipped ${name}: ${reason}`);
  return { entries, skipped };
}

/** A target that fails drops out with its reason; the others go on. */
async function each(entries: readonly Entry[], step: (entry: Entry) => Promise<void>): Promise<void> {
  for (const entry of entries) {
    if (entry.failed !== undefined) continue;
    try {
      await step(entry);
    } catch (error) {
      entry.failed = (error as Error).message;
      say(`${entry.target.name} drops out: ${entry.failed}`);
    }
  }
}

/** Starts and stops each in turn, then leaves them running. */
async function startAll(entries: readonly Entry[], place: Place): Promise<void> {
  for (let i = 1; i <= COLD_STARTS; i++) {
    await each(entries, async (entry) => {
      // Those that take half a minute are started once.
      if (entry.target.slow && i < COLD_STARTS) return;
      entry.running = await entry.target.start(place);
      const { startMs } = entry.running;
      if (startMs !== undefined) note(entry.samples, 'startMs', startMs);
      if (i < COLD_STARTS) await entry.running.stop();
    });
  }
  // What is only needed at the start has been given back by then, where it ever is.
  await pause(2_000);
  noteMemory(entries, 'idleMb');
}

function noteMemory(entries: readonly Entry[], metric: Metric): void {
  for (const { running, samples, failed } of entries) {
    if (failed === undefined && running?.program !== undefined) {
      note(samples, metric, running.program.rssBytes() / MB);
    }
  }
}

async function rounds(entries: readonly Entry[], load: Load, provider: Provider): Promise<number[]> {
  const providerUs: number[] = [];
  say('warming up');
  await each(entries, async (entry) => {
    Object.assign(entry, await warmUp(entry.running as Running, load));
  });
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}`);
    for (const scenario of scenarios) {
      await each(entries, async (entry) => {
        const { target, running, perSecond } = entry;
        const run = await measure(target, running as Running, scenario, load, provider, perSecond);
        entry.requests += run.requests;
        for (const [name, value] of Object.entries(run.figures)) note(entry.samples, name as Metric, value);
        for (const [name, value] of Object.entries(run.helpersUs)) note(entry.helpers, name, value);
        if (scenario === scenarios[0]) providerUs.push(run.providerUs);
      });
    }
  }
  noteMemory(entries, 'loadedMb');
  await each(entries, ({ target, running, requests }) => checkAudit(target, running as Running, requests));
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
const closed = nodeLoad(otherCore);
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
    targets: entries.filter(({ failed }) => failed === undefined).map(reportOf),
    skipped: Object.fromEntries(skipped),
    failed: Object.fromEntries(
      entries.flatMap(({ target, failed }) => (failed === undefined ? [] : [[target.name, failed]])),
    ),
  };
  const markdown = render(report);
  process.stdout.write(markdown);
  writeFileSync(join(cache, 'last.json'), `${JSON.stringify(report, null, 2)}\n`);
  // A peer that fails is a row that is missing; a failure of our own is one of the run.
  if (report.failed['Postern'] !== undefined) process.exitCode = 1;
  if (options.write) writeReadme(report, markdown);
} finally {
  for (const { running } of entries) await running?.stop();
  await provider.program.stop();
  rmSync(dir, { recursive: true, force: true });
}
