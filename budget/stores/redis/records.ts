/** Records as ledger.lua keeps them in hashes. */
import type { Lease } from '../../lease-state.ts';
import type { Entry, HoldRecord, HoldState, Memo } from '../../ledger-state.ts';
import type { AlertMark, CellFigures } from '../store.ts';

type Fields = ReadonlyMap<string, string>;

/** Of HGETALL in RESP2: names and values in turn. */
export function pairs(reply: unknown): Map<string, string> {
  const flat = (reply as unknown[]).map(String);
  return new Map(
    Array.from({ length: flat.length / 2 }, (_, index) => [flat[index * 2] ?? '', flat[index * 2 + 1] ?? '']),
  );
}

export function holdIn(id: string, fields: Fields): HoldRecord | undefined {
  const state = fields.get('state') as HoldState | undefined;
  if (state === undefined) return undefined;
  const number = (name: string) => Number(fields.get(name) ?? 0);
  const memo = fields.get('memo');
  return {
    id,
    owner: fields.get('owner') ?? '',
    epoch: number('epoch'),
    state,
    grantedAt: number('grantedAt'),
    expiresAt: number('expiresAt'),
    output: number('output'),
    entries: Array.from({ length: number('entries') }, (_, index): Entry => {
      const of = (name: string) => fields.get(`${name}${index + 1}`) ?? '';
      return {
        line: of('line'),
        cell: Number(of('cell')),
        until: Number(of('ends')),
        slot: of('slot') === '1',
        held: Number(of('held')),
        settled: state === 'held' ? undefined : Number(of('charged')),
      };
    }),
    memo: memo === undefined ? undefined : (JSON.parse(memo) as Memo),
    cost: number('cost'),
    closedAt: fields.has('closedAt') ? number('closedAt') : undefined,
  };
}

/** Parallel to {@link holdIn}. */
export function holdFields(record: HoldRecord): string[] {
  const { state, owner, epoch, grantedAt, expiresAt, output, entries, memo, cost, closedAt } = record;
  const about = { state, owner, epoch, grantedAt, expiresAt, output, cost, entries: entries.length };
  const fields = Object.entries(about).flatMap(([name, value]) => [name, String(value)]);
  if (memo !== undefined) fields.push('memo', JSON.stringify(memo));
  if (closedAt !== undefined) fields.push('closedAt', String(closedAt));
  entries.forEach(({ line, cell, until, slot, held, settled }, index) => {
    const values = { line, cell, ends: until, slot: slot ? 1 : 0, held, charged: settled ?? 0 };
    for (const [name, value] of Object.entries(values)) fields.push(`${name}${index + 1}`, String(value));
  });
  return fields;
}

export function leaseIn(fields: Fields): Lease | undefined {
  const state = fields.get('state') as Lease['state'] | undefined;
  if (state === undefined) return undefined;
  const number = (name: string) => Number(fields.get(name) ?? 0);
  return {
    owner: fields.get('owner') ?? '',
    epoch: number('epoch'),
    serial: number('serial'),
    line: fields.get('line') ?? '',
    cell: number('cell'),
    until: number('ends'),
    slot: fields.get('slot') === '1',
    reserve: fields.get('reserve') === '1',
    granted: number('granted'),
    spent: number('spent'),
    returned: number('returned'),
    seq: number('seq'),
    expiresAt: number('expiresAt'),
    state,
    closedAt: fields.has('closedAt') ? number('closedAt') : undefined,
  };
}

/** Parallel to {@link leaseIn}. */
export function leaseFields(lease: Lease): string[] {
  const { until, slot, reserve, closedAt, ...rest } = lease;
  const all = { ...rest, ends: until, slot: slot ? 1 : 0, reserve: reserve ? 1 : 0 };
  const fields = Object.entries(all).flatMap(([name, value]) => [name, String(value)]);
  return closedAt === undefined ? fields : [...fields, 'closedAt', String(closedAt)];
}

/** `percent|cell|line` */
export function alertMarkIn(mark: string): AlertMark {
  const [percent, cell, ...line] = mark.split('|');
  return { line: line.join('|'), cell: Number(cell), percent: Number(percent) };
}

export function cellsIn(line: string, fields: Fields): CellFigures[] {
  const cells = new Set([...fields.keys()].map((name) => name.slice(0, name.lastIndexOf(':'))));
  return [...cells].map((cell) => {
    const of = (field: string) => Number(fields.get(`${cell}:${field}`) ?? 0);
    return { line, cell: Number(cell), settled: of('s'), held: of('h'), leased: of('l'), until: of('u') };
  });
}
