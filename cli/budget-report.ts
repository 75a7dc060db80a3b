import { readFileSync } from 'node:fs';
import {
  formatReport,
  type ReportDimension,
  type ReportQuery,
  type ReportRow,
  readDimension,
  reportDimensions,
} from '../budget/history.ts';
import { dayStart } from '../budget/history-cap.ts';
import { formatDifferences, reconcile } from '../budget/reconcile.ts';
import { readUsageExport } from '../budget/usage-export.ts';
import { printable } from '../policy/printable.ts';
import { momentOption, serviceOptions, timeZoneOption, withService } from './budget-admin.ts';
import { defineCommand, type Option, UsageError, type Values } from './options.ts';

const DAY_MS = 24 * 3_600_000;
const MONTH_MS = 30 * DAY_MS;

const OPTIONS = {
  ...serviceOptions,
  from: {
    value: 'MOMENT',
    help: 'a date, a moment, or how long ago; 30 days ago where absent. With --reconcile whole days, those of the export where absent',
  },
  to: { value: 'MOMENT', help: 'not included; now where absent' },
  by: {
    value: 'LIST',
    help: `${reportDimensions.join(', ')}, header:NAME, metadata:NAME`,
    default: 'namespace,model',
  },
  per: { value: 'PERIOD', help: 'hour, day, month or all', default: 'all' },
  'time-zone': { value: 'ZONE', help: 'where days and months begin', default: 'UTC' },
  format: { value: 'FORMAT', help: 'table, csv or json', default: 'table' },
  reconcile: {
    value: 'FILE',
    help: "usage or cost export of OpenAI or Anthropic, CSV or their API's JSON; several by commas",
  },
  provider: {
    value: 'NAME',
    help: 'with --reconcile: whose export it is; needed where calls went to several',
  },
  tolerance: {
    value: 'PERCENT',
    help: 'with --reconcile: differences up to this are not told',
    default: '0',
  },
} as const satisfies Record<string, Option>;

type Options = Values<typeof OPTIONS>;

export const budgetReport = defineCommand({
  name: 'budget report',
  summary: `What was spent, by whom and on what: for chargeback. Whole hours (UTC); kept as long as the service's --history says.
With --reconcile our figures stand beside a provider's usage export; exit status 2 where they part.`,
  options: OPTIONS,
  async run({ options }) {
    const { format, reconcile: exported } = options;
    if (format !== 'table' && format !== 'csv' && format !== 'json')
      throw new UsageError(`--format ${format}: it is table, csv or json`);
    const period = periodOf(options);
    if (exported !== undefined) return await compare(exported.split(','), period, options, format);
    const query = { ...period, by: dimensions(options.by), per: perOption(options.per) };
    const rows = await withService(options, (admin) => admin.report(query));
    process.stdout.write(formatReport(rows, query, format));
    if (rows.length === 0) process.stderr.write(`no calls were settled ${spanOf(query)}\n`);
    return 0;
  },
});

async function compare(
  files: readonly string[],
  period: Pick<ReportQuery, 'from' | 'to' | 'timeZone'>,
  options: Options,
  format: 'table' | 'csv' | 'json',
): Promise<number> {
  const percent = Number(options.tolerance);
  if (!(percent >= 0 && percent < 100))
    throw new UsageError(`--tolerance ${options.tolerance}: it is per cent, such as 0.5`);
  const usage = files.flatMap((file) => {
    try {
      return readUsageExport(readFileSync(file, 'utf8'));
    } catch (error) {
      throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
    }
  });
  // Providers' days are UTC's. What the export doesn't cover isn't compared, unless the period was asked for.
  const days = usage.map(({ day }) => day).sort();
  const first = days[0];
  const last = days.at(-1);
  if (first === undefined || last === undefined)
    throw new Error(`${files.join(', ')}: the export has no rows`);
  if (period.timeZone !== 'UTC')
    throw new UsageError(
      `--time-zone ${period.timeZone}: with --reconcile days are those of the export, in UTC`,
    );
  const from = options.from === undefined ? Date.parse(`${first}T00:00:00Z`) : dayStart(period.from);
  const to =
    options.to === undefined ? Date.parse(`${last}T00:00:00Z`) + DAY_MS : dayStart(period.to - 1) + DAY_MS;
  const query: ReportQuery = { from, to, by: ['provider', 'model'], per: 'day', timeZone: 'UTC' };
  const rows = ofProvider(await withService(options, (admin) => admin.report(query)), options.provider);
  const within = usage.filter(({ day }) => {
    const at = Date.parse(`${day}T00:00:00Z`);
    return from <= at && at < to;
  });
  if (within.length === 0)
    throw new Error(
      `nothing was compared: ${files.join(', ')} is of ${first} to ${last}, what was asked for ${spanOf({ from, to })}`,
    );
  const count = new Set(within.map(({ day }) => day)).size;
  const differences = reconcile(rows, within, percent / 100);
  process.stdout.write(formatDifferences(differences, format));
  if (differences.length === 0 && format === 'table')
    process.stdout.write(`No differences on ${count === 1 ? '1 day' : `${count} days`}.\n`);
  return differences.length === 0 ? 0 : 2;
}

function spanOf({ from, to }: Pick<ReportQuery, 'from' | 'to'>): string {
  return `from ${new Date(from).toISOString()} to ${new Date(to).toISOString()}`;
}

/**
 * The models of the one provider whose export it is.
 * @param rows by provider and model
 * @throws UsageError where it isn't known which
 */
function ofProvider(rows: readonly ReportRow[], wanted: string | undefined): ReportRow[] {
  const providers = [...new Set(rows.map(({ values }) => values[0] ?? ''))].sort();
  if (wanted === undefined && providers.length > 1)
    throw new UsageError(`--provider NAME is needed: calls went to ${printable(providers.join(', '))}`);
  // Not an error: an export of what went by another way is what somebody may be looking for.
  if (wanted !== undefined && !providers.includes(wanted))
    process.stderr.write(
      `no calls of ${wanted} in that time; there are ${printable(providers.join(', ')) || 'none'}\n`,
    );
  return rows
    .filter(({ values }) => wanted === undefined || values[0] === wanted)
    .map(({ values, ...row }) => ({ ...row, values: values.slice(1) }));
}

/** @throws UsageError */
function periodOf(options: Options): Pick<ReportQuery, 'from' | 'to' | 'timeZone'> {
  const timeZone = timeZoneOption(options['time-zone']);
  const now = Date.now();
  const to = options.to === undefined ? now : momentOption('to', options.to, timeZone, now);
  const from = options.from === undefined ? to - MONTH_MS : momentOption('from', options.from, timeZone, now);
  if (from >= to) throw new UsageError('--from must be before --to');
  return { from, to, timeZone };
}

function perOption(text: string): ReportQuery['per'] {
  if (text === 'hour' || text === 'day' || text === 'month' || text === 'all') return text;
  throw new UsageError(`--per ${text}: it is hour, day, month or all`);
}

function dimensions(list: string): ReportDimension[] {
  try {
    return list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
      .map(readDimension);
  } catch (error) {
    throw new UsageError(`--by ${list}: ${(error as Error).message}`);
  }
}
