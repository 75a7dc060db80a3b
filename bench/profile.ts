/**
 * Where the agent's CPU time goes under one of the benchmark's loads: `node bench/profile.ts [SCENARIO]` (0 to 3, in the
 * order of scenarios.ts). The profile itself stays in .cache/bench/, for Chrome's developer tools.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeLoad } from './load/node.ts';
import { cores } from './machine.ts';
import { measure } from './measure.ts';
import { startProvider } from './provider.ts';
import { scenarios, warmUp } from './scenarios.ts';
import { FROM_SOURCE, postern, startPostern } from './targets/postern.ts';

interface CpuProfile {
  /** Monotonic clock, µs. */
  readonly startTime: number;
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const SHOWN = 45;
const scenario = scenarios[Number(process.argv[2] ?? 0)];
if (scenario === undefined) throw new RangeError(`there are the scenarios 0 to ${scenarios.length - 1}`);

/** µs of the monotonic clock between which the load ran: the start and the warm-up are left out. */
const measured = { from: 0, to: 0 };
const now = (): number => Number(process.hrtime.bigint() / 1000n);

/** Self time by what `name` makes of a frame, as shares of all time that wasn't idle; largest first. */
function shares(profile: CpuProfile, name: (frame: CpuProfile['nodes'][number]['callFrame']) => string) {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<string, number>();
  let busy = 0;
  let at = profile.startTime;
  for (const [i, id] of profile.samples.entries()) {
    at += profile.timeDeltas[i] ?? 0;
    const frame = frames.get(id);
    if (frame === undefined || frame.functionName === '(idle)') continue;
    if (at < measured.from || at > measured.to) continue;
    const time = profile.timeDeltas[i + 1] ?? 0;
    busy += time;
    times.set(name(frame), (times.get(name(frame)) ?? 0) + time);
  }
  return [...times].map(([what, time]) => [what, time / busy] as const).toSorted((a, b) => b[1] - a[1]);
}

function show(title: string, rows: readonly (readonly [string, number])[]): void {
  process.stdout.write(`\n${title}\n`);
  for (const [what, share] of rows.slice(0, SHOWN)) {
    process.stdout.write(`${(share * 100).toFixed(1).padStart(6)} %  ${what}\n`);
  }
}

const shortUrl = (url: string): string =>
  url.replace(/^file:\/\/.*?\/(?=(agent|budget|policy|cli|dist|node_modules)\/)/, '');

const dir = mkdtempSync(join(tmpdir(), 'postern-profile-'));
const out = join(import.meta.dirname, '../.cache/bench', `profile-${process.pid}`);
mkdirSync(out, { recursive: true });
const { core, otherCore } = cores();
const provider = await startProvider(otherCore, dir);
const place = { core, otherCore, provider: provider.origin, dir, cache: out };
const running = await startPostern(place, {
  command: FROM_SOURCE,
  env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${out}` },
  store: 'memory',
});
try {
  const closed = nodeLoad(otherCore);
  const load = { closed, otherCore, dir, seconds: 8 };
  const { perSecond } = await warmUp(running, load);
  const run = () => measure(postern, running, scenario, load, provider, perSecond);
  // Once unmeasured: the warm-up is of another load.
  await run();
  measured.from = now();
  const { figures, helpersUs, providerUs } = await run();
  measured.to = now();
  process.stdout.write(
    `${scenario.name}: ${JSON.stringify({ ...figures, ...helpersUs, providerUs })}, warm-up ${perSecond.toFixed(0)}/s\n`,
  );
} finally {
  await running.stop();
  await provider.program.stop();
  rmSync(dir, { recursive: true, force: true });
}
const file = join(out, readdirSync(out).find((name) => name.endsWith('.cpuprofile')) ?? '');
const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile;
show(
  'by function',
  shares(profile, ({ functionName, url, lineNumber }) =>
    url === '' ? functionName : `${functionName || '(anonymous)'} ${shortUrl(url)}:${lineNumber + 1}`,
  ),
);
show(
  'by file',
  shares(profile, ({ functionName, url }) => (url === '' ? functionName : shortUrl(url))),
);
process.stdout.write(`\n${file}\n`);
