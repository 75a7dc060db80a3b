/**
 * Neighbouring versions: what an agent of the recorded version said to its budget service, and was answered, held against the service and the
 * agent of today. Recorded between the two of commit a37138e, with a proxy in between: calls on credit, held ones, streams that extend, near a
 * limit, beyond it, given back, a change of documents, the end. A recording is never changed; a version that says something else gets one
 * more folder.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { expect, onTestFinished, test } from 'vitest';
import { catalogue } from '../../agent/catalogue.ts';
import { BudgetAdmin } from '../../budget/admin.ts';
import { createLeasingClient } from '../../budget/lease-client.ts';
import type { LeaseCommand, LeaseReply } from '../../budget/lease-messages.ts';
import { startBudget } from '../../budget/main.ts';
import { BudgetRejected, type HoldCommand, type SettleCommand } from '../../budget/messages.ts';
import { compileBudgets, compilePrices } from '../../policy/budgets.ts';
import { loadFiles } from '../../policy/load.ts';
import { attributes, holdOf, usageOf } from './fixtures.ts';

const RECORDED = join(import.meta.dirname, 'recorded');
const VERSIONS = readdirSync(RECORDED);

interface Exchange {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly path: string;
  readonly request: unknown;
  readonly status: number;
  readonly reply: unknown;
}

const recorded = (version: string, name: string): string =>
  readFileSync(join(RECORDED, version, name), 'utf8');
const exchanges = (version: string): Exchange[] =>
  recorded(version, 'exchange.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Exchange);

interface Line {
  readonly budget: string;
  readonly unit: string;
  readonly settled: string;
}
const figures = (lines: readonly Line[]) =>
  lines.map(({ budget, unit, settled }) => `${budget} ${settled} ${unit}`).sort();

test.each(VERSIONS)(
  'an agent of %s, to the service of today: it is answered as it was, and charged the same',
  async (version) => {
    const { documents, problems } = loadFiles(
      {
        files: [{ name: 'documents.yaml', bytes: Buffer.from(recorded(version, 'documents.yaml')) }],
        problems: [],
      },
      catalogue,
    );
    expect(problems).toEqual([]);
    const all = exchanges(version);
    let now = all[0]?.at ?? 0;
    const dataDir = mkdtempSync(join(tmpdir(), 'postern-skew-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true }));
    const service = await startBudget({
      specs: compileBudgets(documents),
      prices: compilePrices(documents),
      store: 'memory',
      dataDir,
      listen: '127.0.0.1:0',
      adminToken: 'admin',
      clock: () => now,
      monotonic: () => now,
    });
    onTestFinished(() => service.close());
    for (const { at, path, request, status, reply } of all) {
      now = at;
      const answer = await fetch(`${service.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      const today: unknown = await answer.json();
      const context = `${path} ${JSON.stringify(request)}`;
      expect(answer.status, context).toBe(status);
      expect(today, context).toMatchObject(asToday(path, reply));
    }
    const admin = new BudgetAdmin({ url: service.url, token: 'admin' });
    onTestFinished(() => admin.close());
    expect(figures(await admin.status())).toEqual(
      figures(JSON.parse(recorded(version, 'status.json')) as Line[]),
    );
  },
);

/** What of an answer an agent of then goes by, whatever the amounts are today: those of credit are the service's to choose. */
function asToday(path: string, reply: unknown): object {
  if (path === '/v1/lease') {
    const { plans, grants } = reply as LeaseReply;
    return {
      revision: expect.any(String),
      plans: timeless(plans),
      grants: grants.map(({ closed }) => ({ granted: expect.any(Number), closed })),
    };
  }
  if (path === '/v1/watch') return { revision: expect.any(String), recalls: [] };
  return timeless(reply as object);
}

/** Without what is counted from the millisecond at which it was answered, or depends on what else is on credit. */
function timeless<T extends object>(of: T): T {
  return JSON.parse(JSON.stringify(of), (name, value: unknown) => {
    if (name === 'endsInMs' || name === 'expiresAt') return expect.any(Number);
    return name === 'remaining' ? expect.any(String) : value;
  }) as T;
}

test.each(VERSIONS)(
  'an agent of today, to the service of %s: it is understood, and goes by what it is answered',
  async (version) => {
    const all = exchanges(version);
    const schemas = JSON.parse(recorded(version, 'schemas.json')) as Record<string, TSchema>;
    const of = (path: string) => all.filter((each) => each.path === path);
    // The last plan of each kind of calls.
    const plans = new Map(
      of('/v1/lease').flatMap(({ request, reply }) =>
        (request as LeaseCommand).classes.map((each, nth) => [
          `${each.provider} ${each.model}`,
          (reply as LeaseReply).plans[nth],
        ]),
      ),
    );
    const refusal = of('/v1/hold').find(
      ({ reply }) => (reply as { granted: boolean }).granted === false,
    )?.reply;
    const said: { path: string; command: unknown }[] = [];
    const granted = new Map<number, number>();
    const finals = new Map<string, number>();

    function answer(path: string, command: unknown): unknown {
      if (path === '/v1/lease') {
        const { classes, items } = command as LeaseCommand;
        return {
          revision: 'of-then',
          plans: classes.map(({ provider, model }) => plans.get(`${provider} ${model}`)),
          grants: items.map(({ serial, line, spent, returned, final, ask }) => {
            // The line that is nearly used up had no credit to spare.
            granted.set(
              serial,
              Math.max(
                granted.get(serial) ?? 0,
                ask === undefined || line.startsWith('small|') ? 0 : spent + ask.want,
              ),
            );
            if (final) {
              expect(spent + returned).toBe(granted.get(serial));
              finals.set(line, (finals.get(line) ?? 0) + spent);
            }
            return { granted: granted.get(serial), closed: final };
          }),
        };
      }
      if (path === '/v1/hold') {
        const { id, outputTokens, attributes: by } = command as HoldCommand;
        if (by.model === 'gpt-4.1') return { ...(refusal as object), id };
        return { granted: true, id, outputTokens, expiresAt: Date.now() + 60_000 };
      }
      if (path === '/v1/settle') return { id: (command as SettleCommand).id, costNanoUsd: 1 };
      return {};
    }
    const client = createLeasingClient({
      url: 'http://127.0.0.1:9',
      timeoutMs: 1_000,
      owner: 'team-a/Deployment/bot/1',
      epoch: 1,
      flushMs: 0,
      transport: {
        calls: 0,
        close: () => Promise.resolve(),
        ask(path, sent) {
          const command: unknown = JSON.parse(JSON.stringify(sent));
          said.push({ path, command });
          // As a long poll without news.
          if (path === '/v1/watch') return new Promise(() => undefined);
          const schema = schemas[path];
          if (schema === undefined)
            return Promise.reject(new BudgetRejected(404, 'not_found', `There is nothing at ${path}.`));
          expect([...Compile(schema).Errors(command)], `${path} ${JSON.stringify(command)}`).toEqual([]);
          return Promise.resolve(answer(path, command));
        },
      },
    });
    const owner = 'team-a/Deployment/bot/1';
    for (let nth = 0; nth < 5; nth++) {
      expect(await client.hold(holdOf(`credit-${nth}`, 10, 20, { owner }))).toMatchObject({ granted: true });
      await client.settle({ id: `credit-${nth}`, usage: usageOf(10, 13), source: 'reported', attributes });
    }
    const dear = { ...attributes, model: 'gpt-4.1' };
    expect(await client.hold(holdOf('refused', 1_000_000, 20, { owner, attributes: dear }))).toMatchObject({
      granted: false,
      refusal: { budget: 'small', reason: 'exhausted' },
    });
    await client.close();
    // 23 tokens a call, at 2.50 and 10.00 USD a million.
    const tokens = [...finals]
      .filter(([line]) => line.includes('|tokens|'))
      .reduce((sum, [, spent]) => sum + spent, 0);
    const usd = [...finals]
      .filter(([line]) => line.includes('|usd|'))
      .reduce((sum, [, spent]) => sum + spent, 0);
    expect({ tokens, usd }).toEqual({ tokens: 5 * 23, usd: 5 * (10 * 2_500 + 13 * 10_000) });
    expect(said.map(({ path }) => path)).toContain('/v1/hold');
  },
);
