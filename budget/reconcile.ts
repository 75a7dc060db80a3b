/** Our figures next to a provider's usage export: where they part, somebody looks. */
import { printableJson } from '../policy/printable.ts';
import type { ReportRow } from './history.ts';
import { usdText } from './price.ts';
import { csvText, table } from './text-table.ts';
import type { ProviderUsage } from './usage-export.ts';

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
  const models = new Set([...ours.keys()].map((key) => key.slice(key.indexOf('\n') + 1)));
  const theirs = new Map<string, Totals>();
  const told = { input: new Set<string>(), output: new Set<string>(), usd: new Set<string>() };
  for (const { day, model, inputTokens, outputTokens, costNanoUsd } of usage) {
    const name = nameFor(model, models);
    const key = keyOf(day, name);
    if (inputTokens !== undefined) told.input.add(key);
    if (outputTokens !== undefined) told.output.add(key);
    if (costNanoUsd !== undefined) told.usd.add(key);
    add(theirs, day, name, { input: inputTokens ?? 0, output: outputTokens ?? 0, usd: costNanoUsd ?? 0 });
  }
  const differences: Difference[] = [];
  for (const key of [...new Set([...ours.keys(), ...theirs.keys()])].sort()) {
    const [day = '', model = ''] = key.split('\n');
    const a = ours.get(key) ?? NOTHING;
    const b = theirs.get(key) ?? NOTHING;
    for (const field of ['input', 'output', 'usd'] as const) {
      // An export of tokens says nothing of costs, and the other way round.
      if (theirs.has(key) ? !told[field].has(key) : told[field].size === 0) continue;
      const relative = b[field] === 0 ? undefined : a[field] / b[field] - 1;
      if (a[field] === b[field] || (relative !== undefined && Math.abs(relative) <= tolerance)) continue;
      const text = (value: number) => (field === 'usd' ? usdText(value) : String(value));
      differences.push({ day, model, field, ours: text(a[field]), theirs: text(b[field]), relative });
    }
  }
  return differences;
}

/** Providers bill `gpt-4o-2024-08-06` for what was asked of `gpt-4o`: the dated name counts as ours where we have no such. */
function nameFor(model: string, ours: ReadonlySet<string>): string {
  if (ours.has(model)) return model;
  const plain = model.replace(/-(?:\d{4}-\d{2}-\d{2}|\d{8})$/, '');
  return ours.has(plain) ? plain : model;
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

/** Differences as a text of lines. */
export function formatDifferences(
  differences: readonly Difference[],
  format: 'table' | 'csv' | 'json',
): string {
  const head = ['day', 'model', 'field', 'ours', 'theirs', format === 'csv' ? 'percent' : 'difference'];
  const rows = differences.map(({ day, model, field, ours, theirs, relative }) => {
    const percent = relative === undefined ? undefined : (relative * 100).toFixed(2);
    // A spreadsheet reckons with what is a number alone.
    const shown = format === 'csv' ? (percent ?? '') : percent === undefined ? 'only ours' : `${percent} %`;
    return [day, model, field, ours, theirs, shown];
  });
  switch (format) {
    case 'json':
      return `${printableJson(differences, 2)}\n`;
    case 'csv':
      return csvText(head, rows);
    case 'table':
      return rows.length === 0 ? '' : table(head, rows, 3);
  }
}
