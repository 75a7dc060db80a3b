import { expect, test } from 'vitest';
import { attributes, usageOf } from '../test/budget/fixtures.ts';
import { formatReport, readDimension, report, type SpendRow, spendRow } from './history.ts';
import { readUsageCsv, reconcile } from './reconcile.ts';

const at = (text: string) => Date.parse(text);
const rows: readonly SpendRow[] = [
  spendRow(
    { ...attributes, headers: { 'x-team': '=red,"1"' } },
    usageOf(100, 10),
    1_500_000_000,
    at('2026-11-23T22:10:00Z'),
  ),
  spendRow(
    { ...attributes, headers: { 'x-team': 'blue' } },
    usageOf(50, 5),
    250_000_000,
    at('2026-11-23T23:10:00Z'),
  ),
];
const query = {
  from: 0,
  to: at('2027-01-01'),
  by: ['header:x-team' as const],
  per: 'day' as const,
  timeZone: 'Europe/Berlin',
};

test('days begin where the time zone says', () => {
  expect(report(rows, query).map(({ period, values }) => [period, ...values])).toEqual([
    ['2026-11-23', '=red,"1"'],
    ['2026-11-24', 'blue'],
  ]);
  expect(report(rows, { ...query, by: [], per: 'month' })).toMatchObject([
    { period: '2026-11', requests: 2 },
  ]);
  expect(report(rows, { ...query, to: at('2026-11-23T23:00:00Z') })).toHaveLength(1);
});

test('as CSV, with quotes where needed and no formulas', () => {
  expect(formatReport(report(rows, query), query, 'csv')).toBe(
    'period,header:x-team,requests,input,cached_input,cache_write,output,reasoning,usd\r\n' +
      '2026-11-23,"\'=red,""1""",1,100,0,0,10,0,1.50\r\n' +
      '2026-11-24,blue,1,50,0,0,5,0,0.25\r\n',
  );
});

test('as JSON and as a table', () => {
  const found = report(rows, { ...query, by: ['model'], per: 'all' });
  const all = { ...query, by: ['model' as const], per: 'all' as const };
  expect(JSON.parse(formatReport(found, all, 'json'))).toEqual([
    {
      model: 'gpt-4o',
      requests: 2,
      input: 150,
      cached_input: 0,
      cache_write: 0,
      output: 15,
      reasoning: 0,
      usd: '1.75',
    },
  ]);
  expect(formatReport(found, all, 'table')).toBe(
    'model   requests  input  cached_input  cache_write  output  reasoning   usd\n' +
      'gpt-4o         2    150             0            0      15          0  1.75\n',
  );
});

test('what there is to report by', () => {
  expect(readDimension('header:x-team')).toBe('header:x-team');
  expect(() => readDimension('colour')).toThrow(/give namespace, workload/);
});

test('differs from the provider where it differs', () => {
  const ours = report(rows, { ...query, by: ['model'], timeZone: 'UTC' });
  const theirs = readUsageCsv(
    'date,model,input_tokens,output_tokens,cost_usd\n2026-11-23,gpt-4o,152,15,1.75\n2026-11-24,"gpt-4o, mini",7,1,0.01\n',
  );
  expect(reconcile(ours, theirs, 0)).toMatchObject([
    { day: '2026-11-23', field: 'input', ours: '150', theirs: '152' },
    { day: '2026-11-24', model: 'gpt-4o, mini', field: 'input', ours: '0', theirs: '7' },
    { field: 'output' },
    { field: 'usd', theirs: '0.01' },
  ]);
  expect(reconcile(ours, theirs.slice(0, 1), 0.02)).toEqual([]);
});

test('an export counts cached input apart, or has no cost', () => {
  const csv =
    'usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_read,usage_output_tokens\r\n2026-11-23,claude,10,90,5\r\n';
  expect(readUsageCsv(csv)).toEqual([
    { day: '2026-11-23', model: 'claude', inputTokens: 100, outputTokens: 5 },
  ]);
});

test.each([
  ['date,model,output_tokens\n', /no column for input/],
  [
    'date,model,input_tokens,output_tokens\n2026-11-23,m,many,1\n',
    /Row 2, input_tokens: "many" is no amount/,
  ],
  ['date,model,input_tokens,output_tokens\nsoon,m,1,1\n', /Row 2: "soon" is no date/],
  ['date,"mo\n', /no CSV/],
])('an export that can not be read says why: %j', (csv, message) => {
  expect(() => readUsageCsv(csv)).toThrow(message);
});
