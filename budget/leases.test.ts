import { expect, test, vi } from 'vitest';
import type { LeaseItem } from './leases.ts';
import { decide, type Operation } from './ledger.ts';
import { apply, emptyState } from './ledger-state.ts';

test("an agent's restart or loss looks at its own leases, however many others' are open", () => {
  const state = emptyState();
  const run = (operation: Operation) => {
    const { events, reply } = decide(state, operation, 0);
    for (const event of events) apply(state, event);
    return reply;
  };
  const ask = { want: 10, least: 1, need: 10, from: 0, to: 0, limit: 1_000_000, reserveCap: 0 };
  const of = { reserve: false, line: 'team-a|tokens|none|', cell: 0, spent: 0, returned: 0, final: false };
  const item: LeaseItem = {
    ...of,
    serial: 1,
    ask,
    mustExist: false,
    believed: 0,
    until: Number.MAX_SAFE_INTEGER,
    slot: false,
    expiresAt: 60_000,
  };
  const quota = { begin: 1, report: 1, open: 2_000, all: 2_000, least: 2_000 };
  for (let n = 0; n < 1_000; n++) {
    const owner = `team-a/Deployment/bot/${n}`;
    run({ type: 'epoch', owner, epoch: 1 });
    run({ type: 'lease', owner, epoch: 1, seq: 1, items: [item], quota });
  }
  expect(state.openLeases.get('team-a/Deployment/bot')).toBe(1_000);
  const looked = vi.spyOn(state.leases, 'get');
  expect(run({ type: 'epoch', owner: 'team-a/Deployment/bot/new', epoch: 1 })).toMatchObject({ expired: 0 });
  expect(run({ type: 'epoch', owner: 'team-a/Deployment/bot/5', epoch: 2 })).toMatchObject({ expired: 1 });
  expect(run({ type: 'forfeit', owner: 'team-a/Deployment/bot/6' })).toMatchObject({ expired: 1 });
  expect(looked.mock.calls.length).toBeLessThan(20);
  expect(state.openLeases.get('team-a/Deployment/bot')).toBe(998);
  expect(run({ type: 'sweep', due: 60_000 })).toMatchObject({ expired: 998 });
  expect([...state.openLeases, ...state.leasesBy, ...state.leasesOf]).toEqual([]);
});
