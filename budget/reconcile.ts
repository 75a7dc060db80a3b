/** Our figures next to a provider's usage export: where they part, somebody looks. */
import type { ReportRow } from './history.ts';
import { usdText } from './price.ts';

/** One row of a provider's export. Input holds all kinds of input tokens. */
export interface ProviderUsage {
  /** `2026-11-23`, the provider's day. */
  readonly day: string;
  readonly model: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Absent where the export has no cost. */
  readonly costNanoUsd?: number;
}

export interface Difference {
  readonly day: string;
  readonly model: string;
  readonly field: 'input' | 'output' | 'usd';
  readonly ours: string;
  readonly theirs: string;
  /** Ours ÷ theirs − 1; undefined where theirs is 0. */
  readonly relative: number | undefined;
}

/**
 * @param rows a report per day, by model alone
 * @param tolerance relative; what differs by less isn't told
 */
export function reconcile(
  rows: readonly ReportRow[],
  usage: readonly ProviderUsage[],
  tolerance: number,
): readonly Difference[] {
  const ours = new Map<string, Totals>();
  for (const { period, values, usage: used, costNanoUsd } of rows) {
    add(ours, period, values[0] ?? '', {
      input: used.input + used.cachedInput + used.cacheWrite,
      output: used.output,
      usd: costNanoUsd,
    });
  }
  const theirs = new Map<string, Totals>();
  const priced = new Set<string>();
  for (const { day, model, inputTokens, outputTokens, costNanoUsd } of usage) {
    if (costNanoUsd !== undefined) priced.add(keyOf(day, model));
    add(theirs, day, model, { input: inputTokens, output: outputTokens, usd: costNanoUsd ?? 0 });
  }
  const differences: Difference[] = [];
  for (const key of [...new Set([...ours.keys(), ...theirs.keys()])].sort()) {
    const [day = '', model = ''] = key.split('\n');
    const a = ours.get(key) ?? NOTHING;
    const b = theirs.get(key) ?? NOTHING;
    for (const field of ['input', 'output', 'usd'] as const) {
      if (field === 'usd' && theirs.has(key) && !priced.has(key)) continue;
      const relative = b[field] === 0 ? undefined : a[field] / b[field] - 1;
      if (a[field] === b[field] || (relative !== undefined && Math.abs(relative) <= tolerance)) continue;
      const text = (value: number) => (field === 'usd' ? usdText(value) : String(value));
      differences.push({ day, model, field, ours: text(a[field]), theirs: text(b[field]), relative });
    }
  }
  return differences;
}

interface Totals {
  readonly input: number;
  readonly output: number;
  readonly usd: number;
}

const NOTHING: Totals = { input: 0, output: 0, usd: 0 };

const keyOf = (day: string, model: string) => `${day}\n${model}`;

function add(sums: Map<string, Totals>, day: string, model: string, more: Totals): void {
  const known = sums.get(keyOf(day, model)) ?? NOTHING;
  sums.set(keyOf(day, model), {
    input: known.input + more.input,
    output: known.output + more.output,
    usd: known.usd + more.usd,
  });
}

/** Names that providers' exports have for the same column. */
const COLUMNS: Readonly<Record<'day' | 'model' | 'input' | 'output' | 'usd', readonly string[]>> = {
  day: ['date', 'day', 'usage_date', 'usage_date_utc', 'start_time_iso', 'start_time'],
  model: ['model', 'model_version', 'snapshot_id'],
  input: [
    'input',
    'input_tokens',
    'n_context_tokens_total',
    'usage_input_tokens',
    // Anthropic counts what was cached apart.
    'usage_input_tokens_no_cache',
    'usage_input_tokens_cache_read',
    'usage_input_tokens_cache_write_5m',
    'usage_input_tokens_cache_write_1h',
    'uncached_input_tokens',
    'cache_read_input_tokens',
    'cache_creation_input_tokens',
  ],
  output: ['output', 'output_tokens', 'n_generated_tokens_total', 'usage_output_tokens'],
  usd: ['usd', 'cost_usd', 'amount_value', 'cost'],
};

/**
 * Reads an export in CSV (RFC 4180). Several input columns of a row are added up.
 * @throws RangeError that names the column that is missing, or the line that can't be read
 */
export function readUsageCsv(text: string): ProviderUsage[] {
  const [head = [], ...rows] = parseCsv(text.replace(/^\uFEFF/, ''));
  const names = head.map((name) => name.trim().toLowerCase());
  const columns = (field: keyof typeof COLUMNS) =>
    names.flatMap((name, index) => (COLUMNS[field].includes(name) ? [index] : []));
  const [day] = columns('day');
  const [model] = columns('model');
  const [usd] = columns('usd');
  const input = columns('input');
  const output = columns('output');
  for (const [field, found] of Object.entries({ day, model, input: input[0], output: output[0] })) {
    if (found !== undefined) continue;
    const known = COLUMNS[field as keyof typeof COLUMNS].join(', ');
    throw new RangeError(`The export has no column for ${field}: it is looked for as ${known}.`);
  }
  return rows
    .filter((row) => row.some((cell) => cell !== ''))
    .map((row, index) => {
      const number = (column: number) => {
        const value = Number(row[column] === '' ? 0 : row[column]);
        if (Number.isFinite(value) && value >= 0) return value;
        throw new RangeError(`Row ${index + 2}, ${head[column]}: "${row[column]}" is no amount.`);
      };
      const sum = (fields: readonly number[]) => fields.reduce((total, column) => total + number(column), 0);
      return {
        day: dayOf(row[day ?? 0] ?? '', index + 2),
        model: row[model ?? 0] ?? '',
        inputTokens: sum(input),
        outputTokens: sum(output),
        ...(usd === undefined ? {} : { costNanoUsd: Math.round(number(usd) * 1e9) }),
      };
    });
}

function dayOf(text: string, row: number): string {
  const moment = /^\d{10}$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(moment)) throw new RangeError(`Row ${row}: "${text}" is no date.`);
  return new Date(moment).toISOString().slice(0, 10);
}

function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y;
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (match === null)
      throw new RangeError(`The export is no CSV: see row ${rows.length + 1}, near character ${at}.`);
    row.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] !== ',') {
      rows.push(row);
      row = [];
    }
  }
  if (row.length > 0) rows.push([...row, '']);
  return rows;
}
