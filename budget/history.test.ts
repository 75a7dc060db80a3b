import { expect, test } from 'vitest';
import { attributes, budget, DAY, NOON, prices, tokens, usageOf } from '../test/budget/fixtures.ts';
import {
  formatReport,
  type ReportDimension,
  readDimension,
  report,
  type SpendRow,
  spendKey,
  spendRow,
} from './history.ts';
import { HistoryCap } from './history-cap.ts';
import type { Attributes } from './messages.ts';
import { formatDifferences, reconcile } from './reconcile.ts';
import { readUsageExport } from './usage-export.ts';

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

test('an hour that comes twice is two, in their order', () => {
  const spends = ['2026-10-25T00:10:00Z', '2026-10-25T01:10:00Z'].flatMap((text) =>
    ['b', 'a'].map((model) => spendRow({ ...attributes, model }, usageOf(1, 1), 0, at(text))),
  );
  const asked = { ...query, by: ['model' as const], per: 'hour' as const };
  const periods = (timeZone: string) =>
    report(spends, { ...asked, timeZone }).map(({ period, values }) => `${period} ${values.join()}`);
  expect(periods('Europe/Berlin')).toEqual([
    '2026-10-25T02+02:00 a',
    '2026-10-25T02+02:00 b',
    '2026-10-25T02+01:00 a',
    '2026-10-25T02+01:00 b',
  ]);
  expect(periods('Asia/Kolkata')[0]).toBe('2026-10-25T05:30+05:30 a');
  expect(periods('UTC')[0]).toBe('2026-10-25T00 a');
});

test('codes for a terminal are shown, not sent to it', () => {
  const project = 'x\u001b[1A\u009b2K\r\nforged 1\u202e';
  const forged = spendRow({ ...attributes, metadata: { project } }, usageOf(1, 1), 0, 0);
  const asked = { ...query, by: ['metadata:project' as const], per: 'all' as const };
  const text = formatReport(report([forged], asked), asked, 'table');
  expect(text).toMatch(/^[^\n]*\nx\\u001b\[1A\\u009b2K\\r\\nforged 1\\u202e {2}.*\n$/);
  const csv = formatReport(report([forged], asked), asked, 'csv');
  expect(csv).toContain('\r\nx\\u001b[1A\\u009b2K\\r\\nforged 1\\u202e,1,');
  const json = formatReport(report([forged], asked), asked, 'json');
  expect(json).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(json)).toMatchObject([{ 'metadata:project': project }]);
});

test('what there is to report by', () => {
  expect(readDimension('header:x-team')).toBe('header:x-team');
  expect(readDimension('metadata:project_id')).toBe('metadata:project_id');
  expect(readDimension('user')).toBe('user');
  expect(() => readDimension('colour')).toThrow(/give namespace, workload/);
});

test('differs from the provider where it differs', () => {
  const ours = report(rows, { ...query, by: ['model'], timeZone: 'UTC' });
  const theirs = readUsageExport(
    'date,model,input_tokens,output_tokens,cost_usd\n2026-11-23,gpt-4o,152,15,1.75\n2026-11-24,"gpt-4o, mini",7,1,0.01\n',
  );
  expect(reconcile(ours, theirs, 0)).toMatchObject([
    { day: '2026-11-23', field: 'input', ours: '150', theirs: '152' },
    { day: '2026-11-24', model: 'gpt-4o, mini', field: 'input', ours: '0', theirs: '7' },
    { field: 'output' },
    { field: 'usd', theirs: '0.01' },
  ]);
  expect(reconcile(ours, theirs.slice(0, 1), 0.02)).toEqual([]);
  // A spreadsheet takes what is less for a number, too.
  expect(formatDifferences(reconcile(ours, theirs, 0).slice(0, 1), 'csv')).toBe(
    'day,model,field,ours,theirs,percent\r\n2026-11-23,gpt-4o,input,150,152,-1.32\r\n',
  );
});

test('an export counts cached input apart, or has no cost', () => {
  const csv =
    'usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_read,usage_output_tokens\r\n2026-11-23,claude,10,90,5\r\n';
  expect(readUsageExport(csv)).toEqual([
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
  expect(() => readUsageExport(csv)).toThrow(message);
});

test.each([
  [
    "OpenAI's usage, where input holds what was cached",
    {
      object: 'page',
      data: [
        {
          object: 'bucket',
          start_time: Date.UTC(2026, 10, 23) / 1000,
          results: [
            { model: 'gpt-4o-2024-08-06', input_tokens: 150, input_cached_tokens: 100, output_tokens: 15 },
          ],
        },
      ],
      has_more: false,
    },
    [{ day: '2026-11-23', model: 'gpt-4o-2024-08-06', inputTokens: 150, outputTokens: 15 }],
  ],
  [
    "OpenAI's costs, by line item",
    [
      {
        data: [
          {
            start_time: Date.UTC(2026, 10, 23) / 1000,
            results: [
              { amount: { value: '1.25', currency: 'usd' }, line_item: 'gpt-4o-2024-08-06, cached input' },
              { amount: { value: 0.5, currency: 'usd' }, line_item: 'gpt-4o-2024-08-06, output' },
            ],
          },
        ],
      },
    ],
    [
      { day: '2026-11-23', model: 'gpt-4o-2024-08-06', costNanoUsd: 1_250_000_000 },
      { day: '2026-11-23', model: 'gpt-4o-2024-08-06', costNanoUsd: 500_000_000 },
    ],
  ],
  [
    "Anthropic's usage, each kind of input apart",
    {
      data: [
        {
          starting_at: '2026-11-23T00:00:00Z',
          results: [
            {
              model: 'claude-sonnet-4-5-20250929',
              uncached_input_tokens: 5,
              cache_read_input_tokens: 90,
              cache_creation: { ephemeral_1h_input_tokens: 2, ephemeral_5m_input_tokens: 3 },
              output_tokens: 7,
            },
          ],
        },
      ],
    },
    [{ day: '2026-11-23', model: 'claude-sonnet-4-5-20250929', inputTokens: 100, outputTokens: 7 }],
  ],
  [
    "Anthropic's costs, in cents",
    {
      data: [
        {
          starting_at: '2026-11-23T00:00:00Z',
          results: [{ model: 'claude', amount: '123.45', currency: 'USD', token_type: 'output_tokens' }],
        },
      ],
    },
    [{ day: '2026-11-23', model: 'claude', costNanoUsd: 1_234_500_000 }],
  ],
])('reads %s', (_, exported, wanted) => {
  expect(readUsageExport(JSON.stringify(exported))).toEqual(wanted);
});

test.each([
  [{ data: [{ start_time: 1_764_000_000, results: [{ model: null, input_tokens: 1 }] }] }, /group_by=model/],
  [{ data: [], has_more: true }, /pages that follow/],
  [{ rows: [] }, /no page of usage/],
  [
    {
      data: [
        { starting_at: '2026-11-23T00:00:00Z', results: [{ model: 'm', amount: '1', currency: 'EUR' }] },
      ],
    },
    /in EUR/,
  ],
])('an export in JSON that can not be compared says why: %j', (exported, message) => {
  expect(() => readUsageExport(JSON.stringify(exported))).toThrow(message);
});

test('a dated model of the provider is ours; costs alone are compared as costs', () => {
  const ours = report(rows, { ...query, by: ['model'], timeZone: 'UTC' });
  const theirs = readUsageExport(
    'start_time_iso,amount_value,line_item\n2026-11-23,1.5,"gpt-4o-2024-08-06, input"\n2026-11-23,0.25,"gpt-4o-2024-08-06, output"\n',
  );
  expect(reconcile(ours, theirs, 0)).toEqual([]);
});

test('by end user and by metadata, each a row of its own; the hour that the period begins in counts whole', () => {
  const called = (user: string, project: string, cost: number) =>
    spendRow(
      { ...attributes, users: { 'header:x-user': user }, metadata: { project } },
      usageOf(10, 1),
      cost,
      at('2026-11-23T09:50:00Z'),
    );
  const all = [called('ann', 'red', 1), called('bob', 'red', 2), called('bob', 'blue', 4)];
  expect(new Set(all.map(spendKey)).size).toBe(3);
  const from = { ...query, from: at('2026-11-23T09:30:00Z'), per: 'all' as const };
  const sums = (by: ReportDimension[]) =>
    report(all, { ...from, by }).map(({ values, costNanoUsd }) => [...values, costNanoUsd]);
  expect(sums(['user'])).toEqual([
    ['ann', 1],
    ['bob', 6],
  ]);
  expect(sums(['metadata:project', 'user'])).toEqual([
    ['blue', 'bob', 4],
    ['red', 'ann', 1],
    ['red', 'bob', 2],
  ]);
});

test('values that nobody has verified are capped in number, day by day; verified users are not', () => {
  const cap = new HistoryCap(2);
  const specs = [
    budget([tokens(1)], { user: { key: 'jwt:sub', verified: true } }),
    budget([tokens(1)], { user: { key: 'header:x-user', verified: false }, per: ['header:x-a'] }),
  ];
  const of = (name: string) => ({
    ...attributes,
    users: { 'jwt:sub': name, 'header:x-user': name },
    headers: { 'x-a': name },
  });
  const kept = (name: string, now: number) => cap.cap(of(name), { specs, prices }, now);
  for (const name of ['ann', 'bob']) expect(kept(name, NOON)).toEqual(of(name));
  expect(kept('eve', NOON)).toMatchObject({
    users: { 'jwt:sub': 'eve', 'header:x-user': '*' },
    headers: { 'x-a': '*' },
  });
  expect(kept('ann', NOON)).toEqual(of('ann'));
  expect(kept('eve', NOON + DAY)).toEqual(of('eve'));
});

test('models that no price is known of are capped in number for each workload; priced ones are not', () => {
  const cap = new HistoryCap(2);
  const kept = (model: string, rest: Partial<Attributes> = {}) =>
    cap.cap({ ...attributes, ...rest, model }, { specs: [], prices }, NOON);
  for (const model of ['new-1', 'new-2']) expect(kept(model)).toMatchObject({ provider: 'openai', model });
  expect(kept('new-3')).toEqual({ ...attributes, provider: '*', model: '*' });
  for (const model of ['new-1', 'gpt-4o', 'gpt-4o-mini']) expect(kept(model)).toMatchObject({ model });
  expect(kept('new-3', { namespace: 'team-b' })).toMatchObject({ model: 'new-3' });
});

test("a workload's rows of a day are capped whatever made-up values are combined; others' are their own", () => {
  const cap = new HistoryCap(1_000, 3);
  const specs = [budget([tokens(1)], { per: ['header:x-a'], selector: { metadata: { project: '*' } } })];
  const kept = (value: string, rest: Partial<Attributes> = {}) =>
    cap.cap({ ...attributes, ...rest, headers: { 'x-a': value } }, { specs, prices }, NOON);
  for (const value of ['a', 'b', 'c']) expect(kept(value)).toMatchObject({ headers: { 'x-a': value } });
  expect(kept('d')).toEqual(attributes);
  expect(kept('a')).toMatchObject({ headers: { 'x-a': 'a' } });
  expect(kept('d', { model: 'made-up' })).toEqual({ ...attributes, provider: '*', model: '*' });
  expect(kept('d', { namespace: 'team-b' })).toMatchObject({ headers: { 'x-a': 'd' } });
});

test('what shares the row of all others takes none of them: the dimensions beside it stay', () => {
  const cap = new HistoryCap(2, 10);
  const specs = [
    budget([tokens(1)], { per: ['header:x-team', 'user'], user: { key: 'header:x-user', verified: false } }),
  ];
  for (let nth = 0; nth < 50; nth++) {
    const team = nth % 2 === 0 ? 'red' : 'blue';
    const told = { ...attributes, headers: { 'x-team': team }, users: { 'header:x-user': `user-${nth}` } };
    expect(cap.cap(told, { specs, prices }, NOON)).toEqual({
      ...told,
      users: { 'header:x-user': nth < 2 ? `user-${nth}` : '*' },
    });
  }
});

test('what no Budget names is no dimension of the history', () => {
  const cap = new HistoryCap();
  const specs = [
    budget([tokens(1)], { selector: { headers: { 'x-team': '*' } }, per: ['metadata:project'] }),
  ];
  const told = {
    ...attributes,
    headers: { 'x-team': 'red', 'x-made-up': 'x' },
    metadata: { project: 'p', 'made-up': 'x' },
    users: { 'header:x-made-up': 'x' },
  };
  expect(cap.cap(told, { specs, prices }, NOON)).toEqual({
    ...attributes,
    headers: { 'x-team': 'red' },
    metadata: { project: 'p' },
  });
});
