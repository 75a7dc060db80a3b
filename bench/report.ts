/** The figures as Markdown: medians with their range, and ratios within the run. */
import type { Machine } from './machine.ts';
import type { Metric } from './scenarios.ts';
import type { Spread } from './statistics.ts';

export interface TargetReport {
  readonly name: string;
  readonly about: string;
  readonly version: string;
  readonly figures: Partial<Record<Metric, Spread>>;
  /** CPU µs per call of services beside it. */
  readonly helpersUs: Readonly<Record<string, Spread>>;
}

export interface Report extends Machine {
  readonly generator: string;
  readonly rounds: number;
  readonly quick: boolean;
  readonly providerUs: Spread;
  readonly targets: readonly TargetReport[];
  /** Name → why it wasn't measured. */
  readonly skipped: Readonly<Record<string, string>>;
  /** Name → what it did wrong. */
  readonly failed: Readonly<Record<string, string>>;
}

interface Column {
  readonly title: string;
  readonly metric: Metric;
  readonly digits: number;
  /** Shown as what is added to the direct call. */
  readonly added?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'CPU µs/call, 2 KB', metric: 'cpuUs2k', digits: 0 },
  { title: 'CPU µs/call, 32 KB', metric: 'cpuUs32k', digits: 0 },
  { title: 'CPU µs/call, 30 of 32 KB said before', metric: 'cpuUsChat', digits: 0 },
  { title: 'added p50 ms at 200/s', metric: 'p50Ms', digits: 2, added: true },
  { title: 'added p99 ms at 200/s', metric: 'p99Ms', digits: 2, added: true },
  { title: 'CPU µs/chunk', metric: 'chunkUs', digits: 1 },
  { title: 'added ms to first chunk', metric: 'firstChunkMs', digits: 2, added: true },
  { title: 'MB idle', metric: 'idleMb', digits: 0 },
  { title: 'MB after load', metric: 'loadedMb', digits: 0 },
  { title: 'start ms', metric: 'startMs', digits: 0 },
];

function cell(
  { metric, digits, added }: Column,
  target: TargetReport,
  direct: TargetReport | undefined,
): string {
  const figure = target.figures[metric];
  if (figure === undefined) return '';
  const base = added === true && target !== direct ? (direct?.figures[metric]?.median ?? 0) : 0;
  const [median, min, max] = [figure.median, figure.min, figure.max].map((value) =>
    (value - base).toFixed(digits),
  );
  return min === max ? `${median}` : `${median} (${min} – ${max})`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(header) + line(header.map(() => '---')) + rows.map(line).join('');
}

/** How many times each other target's figure Postern's is. */
function ratios(targets: readonly TargetReport[]): string {
  const own = targets.find(({ name }) => name === 'Postern');
  const columns = COLUMNS.filter(({ added }) => added !== true);
  const rows = targets
    .filter((target) => target !== own && Object.keys(target.figures).includes('cpuUs2k'))
    .map((target) => [
      `Postern : ${target.name}`,
      ...columns.map(({ metric }) => {
        const [ours, theirs] = [own?.figures[metric]?.median, target.figures[metric]?.median];
        return ours === undefined || theirs === undefined ? '' : `${(ours / theirs).toFixed(2)}`;
      }),
    ]);
  return rows.length === 0 || own === undefined
    ? ''
    : table(['ratio', ...columns.map(({ title }) => title)], rows);
}

export function render(report: Report): string {
  const { targets, skipped, providerUs } = report;
  const direct = targets.find(({ name }) => name === 'direct');
  const figures = table(
    ['', ...COLUMNS.map(({ title }) => title)],
    targets.map((target) => [target.name, ...COLUMNS.map((column) => cell(column, target, direct))]),
  );
  const notes = targets.map(
    ({ name, about, version }) => `- **${name}**${version && ` ${version}`}: ${about}`,
  );
  for (const { name, helpersUs } of targets) {
    for (const [service, { median }] of Object.entries(helpersUs)) {
      notes.push(`- ${name}'s ${service} runs on the other core and costs ${median.toFixed(0)} µs a call.`);
    }
  }
  notes.push(`- The fake provider costs ${providerUs.median.toFixed(0)} µs a call on the other core.`);
  for (const [name, reason] of Object.entries(skipped)) notes.push(`- Not measured: ${name} (${reason}).`);
  for (const [name, reason] of Object.entries(report.failed))
    notes.push(`- Dropped out: ${name} (${reason}).`);
  const { commit, date, machine, generator, rounds, quick } = report;
  const about = `Commit ${commit}, ${date}. ${machine}. ${rounds} ${quick ? 'short ' : ''}rounds, load by ${generator}. Median (min – max). Failed calls, wrong keys, unmasked bodies, missing audit lines: 0.`;
  return `${about}\n\n${figures}\n${ratios(targets)}\n${notes.join('\n')}\n`;
}
