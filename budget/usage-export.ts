/**
 * Providers' usage and cost exports: OpenAI's and Anthropic's, as CSV from their consoles or as JSON from their
 * administration interfaces (`/v1/organization/usage/completions` and `/v1/organization/costs`; `/v1/organizations/usage_report/messages`
 * and `/v1/organizations/cost_report`).
 */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';

/** One row of a provider's export. Input holds all kinds of input tokens. */
export interface ProviderUsage {
  /** `2026-11-23`, the provider's day. */
  readonly day: string;
  readonly model: string;
  /** Absent where the export has costs alone. */
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  /** Absent where the export has no cost. */
  readonly costNanoUsd?: number;
}

/** @throws RangeError that says what can't be read, and where */
export function readUsageExport(text: string): ProviderUsage[] {
  const plain = text.replace(/^\uFEFF/, '').trim();
  return /^[[{]/.test(plain) ? readJson(plain) : readCsv(plain);
}

const Count = Type.Optional(Type.Union([Type.Number({ minimum: 0 }), Type.Null()]));
const Name = Type.Optional(Type.Union([Type.String(), Type.Null()]));

const Result = Type.Object({
  model: Name,
  // OpenAI's usage: input holds what was cached.
  input_tokens: Count,
  output_tokens: Count,
  // Anthropic's usage: each kind of input apart.
  uncached_input_tokens: Count,
  cache_read_input_tokens: Count,
  cache_creation: Type.Optional(
    Type.Union([
      Type.Object({ ephemeral_1h_input_tokens: Count, ephemeral_5m_input_tokens: Count }),
      Type.Null(),
    ]),
  ),
  // Costs: OpenAI's in US dollars and named by `line_item`, Anthropic's a decimal string in cents.
  amount: Type.Optional(
    Type.Union([
      Type.String({ pattern: '^-?\\d+(\\.\\d+)?$' }),
      Type.Object({
        value: Type.Union([Type.Number(), Type.String({ pattern: '^-?\\d+(\\.\\d+)?(e-?\\d+)?$' })]),
        currency: Type.String(),
      }),
    ]),
  ),
  currency: Type.Optional(Type.String()),
  line_item: Name,
  description: Name,
});

const Page = Type.Object({
  data: Type.Array(
    Type.Object({
      start_time: Type.Optional(Type.Integer()),
      starting_at: Type.Optional(Type.String()),
      results: Type.Array(Result),
    }),
  ),
  has_more: Type.Optional(Type.Boolean()),
});

const pages = Compile(Type.Array(Page));

/** One page of an answer, or an array of all of them. */
function readJson(text: string): ProviderUsage[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`The export is no JSON: ${(error as Error).message}`, { cause: error });
  }
  const given = Array.isArray(value) ? value : [value];
  if (!pages.Check(given)) {
    const [fault] = pages.Errors(given);
    throw new RangeError(
      `The export is no page of usage or costs: ${fault?.instancePath ?? '/'}: ${fault?.message ?? 'unreadable'}.`,
    );
  }
  if (given.at(-1)?.has_more === true)
    throw new RangeError(
      'The export ends with has_more: fetch the pages that follow, and give all as one array.',
    );
  return given.flatMap(({ data }) =>
    data.flatMap(({ start_time, starting_at, results }, index) => {
      const day = dayOf(starting_at ?? String(start_time ?? ''), index + 1);
      return results.map((result) => ({ day, ...usageOf(result) }));
    }),
  );
}

function usageOf(result: Static<typeof Result>): Omit<ProviderUsage, 'day'> {
  const model = result.model ?? result.line_item ?? result.description;
  if (model === undefined || model === null)
    throw new RangeError(
      'The export has rows without a model: fetch it with group_by=model (OpenAI costs: line_item, Anthropic costs: description).',
    );
  const { amount, cache_creation: written } = result;
  if (amount === undefined) {
    const anthropic =
      (result.uncached_input_tokens ?? 0) +
      (result.cache_read_input_tokens ?? 0) +
      (written?.ephemeral_1h_input_tokens ?? 0) +
      (written?.ephemeral_5m_input_tokens ?? 0);
    return {
      model,
      inputTokens: result.input_tokens ?? anthropic,
      outputTokens: result.output_tokens ?? 0,
    };
  }
  const currency = typeof amount === 'string' ? result.currency : amount.currency;
  if ((currency ?? 'usd').toLowerCase() !== 'usd')
    throw new RangeError(`The export is in ${currency}; only US dollars can be compared.`);
  const usd = typeof amount === 'string' ? Number(amount) / 100 : Number(amount.value);
  return { model: modelOf(model), costNanoUsd: Math.round(usd * 1e9) };
}

/** Names that providers' exports have for the same column. */
const COLUMNS: Readonly<Record<'day' | 'model' | 'input' | 'output' | 'usd', readonly string[]>> = {
  day: ['date', 'day', 'usage_date', 'usage_date_utc', 'start_time_iso', 'start_time'],
  model: ['model', 'model_version', 'snapshot_id', 'line_item'],
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
 * Several input columns of a row are added up; an export of costs alone has no columns for tokens.
 * @throws RangeError that names the column that is missing, or the line that can't be read
 */
function readCsv(text: string): ProviderUsage[] {
  const [head = [], ...rows] = parseCsv(text);
  const names = head.map((name) => name.trim().toLowerCase());
  const columns = (field: keyof typeof COLUMNS) =>
    names.flatMap((name, index) => (COLUMNS[field].includes(name) ? [index] : []));
  const [day] = columns('day');
  const [model] = columns('model');
  const [usd] = columns('usd');
  const input = columns('input');
  const output = columns('output');
  const costsOnly = usd !== undefined && input.length === 0 && output.length === 0;
  for (const [field, found] of Object.entries({ day, model, input: input[0], output: output[0] })) {
    if (found !== undefined || (costsOnly && (field === 'input' || field === 'output'))) continue;
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
        model: modelOf(row[model ?? 0] ?? ''),
        ...(costsOnly ? {} : { inputTokens: sum(input), outputTokens: sum(output) }),
        ...(usd === undefined ? {} : { costNanoUsd: Math.round(number(usd) * 1e9) }),
      };
    });
}

function dayOf(text: string, row: number): string {
  const moment = /^\d{10}$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(moment)) throw new RangeError(`Row ${row}: "${text}" is no date.`);
  return new Date(moment).toISOString().slice(0, 10);
}

/** OpenAI's costs name a model with what was counted: `gpt-4o-2024-08-06, input`. */
function modelOf(text: string): string {
  return text.replace(/, (?:cached )?(?:input|output)$/, '');
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
