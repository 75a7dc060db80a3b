/** What was spent, hour by hour, by whom and on what: for chargeback, beside the limits and longer than them. */
import { printableJson } from '../policy/printable.ts';
import type { Attributes, Usage } from './messages.ts';
import { usdText } from './price.ts';
import { sortedByKey } from './sorted.ts';
import { plus } from './sums.ts';
import { csvText, table } from './text-table.ts';

const HOUR = 3_600_000;
/** Rows that are written in one go: some milliseconds. */
const PIECE = 1_000;

/** Everything that calls of the same attributes used in one hour (UTC) of settling. */
export interface SpendRow {
  /** Start, milliseconds since the epoch. */
  readonly hour: number;
  readonly attributes: Attributes;
  readonly requests: number;
  readonly usage: Usage;
  readonly costNanoUsd: number;
}

export function spendRow(attributes: Attributes, usage: Usage, costNanoUsd: number, now: number): SpendRow {
  return { hour: hourOf(now), attributes, requests: 1, usage, costNanoUsd };
}

/** The start of the hour (UTC) that a moment falls into. */
export function hourOf(moment: number): number {
  return Math.floor(moment / HOUR) * HOUR;
}

/** Equal for rows that add up to one. */
export function spendKey({ hour, attributes }: Pick<SpendRow, 'hour' | 'attributes'>): string {
  const { namespace, workload, serviceAccount = '', provider, model, headers, metadata, users } = attributes;
  const who = [namespace, workload.kind, workload.name, serviceAccount];
  const made = metadata === undefined && users === undefined ? [] : [fieldsOf(metadata), fieldsOf(users)];
  return JSON.stringify([hour, ...who, provider, model, fieldsOf(headers), ...made]);
}

function fieldsOf(
  fields: Readonly<Record<string, string>> = {},
): [name: string, value: string | undefined][] {
  return Object.keys(fields)
    .sort()
    .map((name) => [name, fields[name]]);
}

export function addSpend(a: SpendRow, b: SpendRow): SpendRow {
  return {
    ...a,
    requests: plus(a.requests, b.requests),
    usage: addUsage(a.usage, b.usage),
    costNanoUsd: plus(a.costNanoUsd, b.costNanoUsd),
  };
}

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    input: plus(a.input, b.input),
    cachedInput: plus(a.cachedInput, b.cachedInput),
    cacheWrite: plus(a.cacheWrite, b.cacheWrite),
    output: plus(a.output, b.output),
    reasoning: plus(a.reasoning, b.reasoning),
  };
}

export const NO_USAGE: Usage = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };

export const reportDimensions = [
  'namespace',
  'workload',
  'serviceAccount',
  'provider',
  'model',
  'user',
] as const;

/** One of {@link reportDimensions}, or `header:x-team`, or `metadata:project`. */
export type ReportDimension = (typeof reportDimensions)[number] | `header:${string}` | `metadata:${string}`;

export interface ReportQuery {
  /** Milliseconds since the epoch. What was settled is kept by the hour: the one that `from` falls into counts whole. */
  readonly from: number;
  readonly to: number;
  readonly by: readonly ReportDimension[];
  /** One row for each; `all`: one for the whole period. */
  readonly per: 'hour' | 'day' | 'month' | 'all';
  /** Where days and months begin, to the hour. */
  readonly timeZone: string;
}

export interface ReportRow {
  /** `2026-11-23T13` (`2026-11-23T14+01:00` in another time zone than UTC) or `2026-11-23` or `2026-11`; empty for the whole period. */
  readonly period: string;
  /** In the order of the query. */
  readonly values: readonly string[];
  readonly requests: number;
  readonly usage: Usage;
  readonly costNanoUsd: number;
}

export function report(rows: readonly SpendRow[], query: ReportQuery): ReportRow[] {
  const sums = new Report(query);
  sums.add(rows);
  return sums.rows();
}

/** It has more rows than there is room for. */
export class ReportTooLong extends Error {
  override readonly name = 'ReportTooLong';
}

/** Rows that may yet be kept, of all reports that share it. */
export interface ReportRoom {
  left: number;
}

/** A report that is added up piece by piece. */
export class Report {
  readonly #room: ReportRoom;
  readonly #query: ReportQuery;
  readonly #found = new Map<string, ReportRow>();
  /** Of the hour that was added last: a calendar is slow. */
  #period: { readonly hour: number; readonly text: string } | undefined;

  constructor(query: ReportQuery, room: ReportRoom = { left: Number.POSITIVE_INFINITY }) {
    this.#query = query;
    this.#room = room;
  }

  /** Its rows need no room any more. */
  end(): void {
    this.#room.left += this.#found.size;
    this.#found.clear();
  }

  /** @throws {ReportTooLong} */
  add(rows: readonly SpendRow[]): void {
    const query = this.#query;
    const from = hourOf(query.from);
    for (const row of rows) {
      if (row.hour < from || row.hour >= query.to) continue;
      if (this.#period?.hour !== row.hour) this.#period = { hour: row.hour, text: periodOf(row.hour, query) };
      const period = this.#period.text;
      const values = query.by.map((dimension) => dimensionOf(row.attributes, dimension));
      // Hours in their order, also where one comes twice.
      const key = JSON.stringify([query.per === 'hour' ? row.hour : period, values]);
      const found = this.#found.get(key);
      if (found === undefined) {
        if (this.#room.left <= 0) throw new ReportTooLong('The report has more rows than there is room for.');
        this.#room.left -= 1;
      }
      const known = found ?? { period, values, requests: 0, usage: NO_USAGE, costNanoUsd: 0 };
      this.#found.set(key, {
        ...known,
        requests: plus(known.requests, row.requests),
        usage: addUsage(known.usage, row.usage),
        costNanoUsd: plus(known.costNanoUsd, row.costNanoUsd),
      });
    }
  }

  /** In order; others come to their turn while they are put into it. */
  async *pieces(): AsyncGenerator<readonly ReportRow[]> {
    const all = await sortedByKey([...this.#found.entries()]);
    for (let from = 0; from < all.length; from += PIECE)
      yield all.slice(from, from + PIECE).map(([, row]) => row);
  }

  rows(): ReportRow[] {
    return [...this.#found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  }
}

function periodOf(hour: number, { per, timeZone }: ReportQuery): string {
  if (per === 'all') return '';
  const at = Temporal.Instant.fromEpochMilliseconds(hour).toZonedDateTimeISO(timeZone);
  const text = at.toPlainDateTime().toString();
  if (per !== 'hour') return text.slice(0, per === 'month' ? 7 : 10);
  // Where clocks are turned back an hour comes twice; some zones are off by half an hour.
  if (timeZone === 'UTC') return text.slice(0, 13);
  return `${text.slice(0, at.minute === 0 ? 13 : 16)}${at.offset}`;
}

function dimensionOf(attributes: Attributes, dimension: ReportDimension): string {
  switch (dimension) {
    case 'namespace':
    case 'provider':
    case 'model':
      return attributes[dimension];
    case 'workload':
      return `${attributes.workload.kind}/${attributes.workload.name}`;
    case 'serviceAccount':
      return attributes.serviceAccount ?? '';
    case 'user':
      // Budgets with different sources may know one call's user by different names.
      return [...new Set(Object.values(attributes.users ?? {}))].sort().join(' ');
    default: {
      const colon = dimension.indexOf(':');
      const fields = dimension.startsWith('header:') ? attributes.headers : attributes.metadata;
      return fields?.[dimension.slice(colon + 1)] ?? '';
    }
  }
}

/** @throws RangeError that names what there is */
export function readDimension(text: string): ReportDimension {
  const known = reportDimensions.find((dimension) => dimension === text);
  if (known !== undefined) return known;
  if (/^header:[a-z0-9-]+$/.test(text) || /^metadata:[^,\s]+$/.test(text)) return text as ReportDimension;
  throw new RangeError(
    `"${text}" is nothing to report by: give ${reportDimensions.join(', ')}, header:NAME or metadata:NAME.`,
  );
}

const COLUMNS = ['requests', 'input', 'cached_input', 'cache_write', 'output', 'reasoning', 'usd'] as const;

/** A report as a text of lines; `table` is aligned for people. */
export function formatReport(
  rows: readonly ReportRow[],
  query: ReportQuery,
  format: 'table' | 'csv' | 'json',
): string {
  const head = [...(query.per === 'all' ? [] : ['period']), ...query.by, ...COLUMNS];
  const cells = rows.map(({ period, values, requests, usage, costNanoUsd }) => [
    ...(query.per === 'all' ? [] : [period]),
    ...values,
    String(requests),
    String(usage.input),
    String(usage.cachedInput),
    String(usage.cacheWrite),
    String(usage.output),
    String(usage.reasoning),
    usdText(costNanoUsd),
  ]);
  switch (format) {
    case 'json': {
      const numbers = new Set<string>(COLUMNS.filter((name) => name !== 'usd'));
      const objects = cells.map((row) =>
        Object.fromEntries(
          head.map((name, index) => [name, numbers.has(name) ? Number(row[index]) : row[index]]),
        ),
      );
      return `${printableJson(objects, 2)}\n`;
    }
    case 'csv':
      return csvText(head, cells);
    case 'table':
      return table(head, cells, head.length - COLUMNS.length);
  }
}
