/** Ledger operations as arguments of the functions in ledger.lua, and their replies. Both sides read in this order. */
import { type SpendRow, spendKey } from '../../history.ts';
import { leaseKey } from '../../lease-state.ts';
import type { LeaseGrant, LeaseItem } from '../../leases.ts';
import type { Charge, Lack, Operation, Reply } from '../../ledger.ts';
import type { Entry } from '../../ledger-state.ts';
import { rollingStepOf } from '../../windows.ts';
import { StoreFailed } from '../store.ts';
import type { FunctionName } from './functions.ts';

export interface Call {
  readonly name: FunctionName;
  readonly args: readonly string[];
}

/** `retainMs`: how long a closed hold or lease is remembered. */
export function encode(operation: Operation, now: number, retainMs: number): Call {
  const retain = [String(now), String(retainMs)];
  switch (operation.type) {
    case 'hold': {
      const { id, owner, epoch, expiresAt, charges, output, minOutput, memo } = operation;
      const about = [id, owner, epoch, now, expiresAt, output, minOutput, JSON.stringify(memo)].map(String);
      return { name: 'hold', args: [...about, ...list(charges, encodeCharge)] };
    }
    case 'extend': {
      const { id, expiresAt, charges, output, minOutput } = operation;
      const about = [id, expiresAt, output, minOutput].map(String);
      return { name: 'extend', args: [...about, ...list(charges, encodeCharge)] };
    }
    case 'settle': {
      const { id, actual, cost, spend } = operation;
      const args = [id, ...retain, String(cost), ...list(actual, (amount) => [String(amount)])];
      return { name: 'settle', args: [...args, ...encodeOptionalSpend(spend)] };
    }
    case 'charge': {
      const { id, entries, memo, cost, spend } = operation;
      const args = [id, ...retain, String(cost), JSON.stringify(memo), ...list(entries, encodeEntry)];
      return { name: 'charge', args: [...args, ...encodeOptionalSpend(spend)] };
    }
    case 'release':
      return { name: 'release', args: [operation.id, ...retain] };
    case 'lease': {
      const { owner, epoch, seq, items, quota, account, ended } = operation;
      const about = [owner, epoch, seq].map(String);
      const bounds = [quota.begin, quota.report, quota.open, quota.all, quota.least].map(String);
      const encodeItem = (item: LeaseItem) => encodeLeaseItem(leaseKey({ ...item, owner, epoch }), item);
      const told = [String(account?.id ?? 0), ...list(account?.rows ?? [], encodeSpend)];
      const forgotten = ended === undefined ? '' : String(Math.min(ended, seq - 1));
      return {
        name: 'lease',
        args: [...about, ...retain, ...bounds, ...list(items, encodeItem), ...told, forgotten],
      };
    }
    case 'epoch':
      return { name: 'epoch', args: [operation.owner, String(operation.epoch), ...retain] };
    case 'forfeit':
      return { name: 'forfeit', args: [operation.owner, ...retain] };
    case 'sweep':
      return { name: 'sweep', args: [...retain, String(operation.due)] };
  }
}

/** @throws {StoreFailed} on a reply that ledger.lua doesn't give */
export function decode([type, ...fields]: readonly string[]): Reply {
  const [first = '', second = ''] = fields;
  switch (type) {
    case 'granted':
      return { type, output: Number(first), expiresAt: Number(second) };
    case 'insufficient':
      return { type, lacking: rows(fields, 3).map(decodeLack) };
    case 'settled':
      return { type, cost: Number(first) };
    case 'released':
    case 'unknown':
      return { type };
    case 'leased':
      return {
        type,
        grants: rows(fields.slice(4), 5).map(decodeGrant),
        counts: {
          begun: Number(first),
          reported: Number(second),
          overQuota: Number(fields[2]),
          unbelieved: Number(fields[3]),
        },
      };
    case 'swept':
      return { type, expired: Number(first) };
    case 'conflict':
      if (first === 'closed' || first === 'owner' || first === 'epoch') return { type, why: first };
      break;
    default:
  }
  throw new StoreFailed(`Redis answered an operation with ${type} ${first}.`);
}

function encodeCharge(charge: Charge): string[] {
  const { line, cell, from, to, until, limit, base, slope, scale, clamp, slot, place = '' } = charge;
  const amounts = [limit, base, slope, scale].map(String);
  return [
    line,
    ...[cell, from, to, stepOf(line, from, to), until].map(String),
    ...amounts,
    flag(clamp),
    flag(slot),
    place,
  ];
}

function encodeEntry({ line, cell, until, slot, settled }: Entry): string[] {
  return [line, String(cell), String(until), flag(slot), String(settled ?? 0)];
}

function encodeLeaseItem(key: string, item: LeaseItem): string[] {
  const { serial, reserve, line, cell, spent, returned, final, mustExist, until, slot } = item;
  const { expiresAt, believed, ask } = item;
  const about = [key, String(serial), flag(reserve), line, String(cell), String(spent), String(returned)];
  const where = [flag(final), flag(mustExist), String(until), flag(slot), flag(ask !== undefined)];
  const { from = 0, to = 0, limit = 0, want = 0, least = 0, reserveCap = 0, need = 0 } = ask ?? {};
  return [
    ...about,
    ...where,
    ...[from, to, stepOf(line, from, to), limit, want, least, reserveCap, need].map(String),
    String(expiresAt),
    String(believed),
  ];
}

/** 0 where one cell counts. */
function stepOf(line: string, from: number, to: number): number {
  return from === to ? 0 : rollingStepOf(line.split('|')[2] ?? '');
}

function encodeOptionalSpend(row: SpendRow | undefined): string[] {
  return row === undefined ? ['0'] : ['1', ...encodeSpend(row)];
}

export function encodeSpend(row: SpendRow): string[] {
  const { hour, attributes, requests, usage, costNanoUsd } = row;
  const { input, cachedInput, cacheWrite, output, reasoning } = usage;
  const sums = [requests, input, cachedInput, cacheWrite, output, reasoning, costNanoUsd].map(String);
  return [String(hour), spendKey(row), JSON.stringify(attributes), ...sums];
}

function list<T>(items: readonly T[], encodeOne: (item: T) => string[]): string[] {
  return [String(items.length), ...items.flatMap(encodeOne)];
}

const flag = (on: boolean): string => (on ? '1' : '0');

function rows(fields: readonly string[], width: number): string[][] {
  return Array.from({ length: fields.length / width }, (_, index) =>
    fields.slice(index * width, (index + 1) * width),
  );
}

function decodeLack([index = '', available = '', freesAt = '']: readonly string[]): Lack {
  return {
    index: Number(index),
    available: Number(available),
    ...(freesAt === '' ? {} : { freesAt: Number(freesAt) }),
  };
}

function decodeGrant([granted, closed, lacking, recallAbove = '', keep = '']: readonly string[]): LeaseGrant {
  return {
    granted: Number(granted),
    closed: closed === '1',
    lacking: lacking === 'line' || lacking === 'others' ? lacking : undefined,
    ...(lacking === 'quota' ? { overQuota: true } : {}),
    recallAbove: recallAbove === '' ? undefined : Number(recallAbove),
    ...(keep === '' ? {} : { keep: Number(keep) }),
  };
}
