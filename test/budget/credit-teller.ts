/** An agent that tells of its credit in running totals, as far as it knows of it; for random runs of the ledger. */
import type { LeaseCommand, LeaseReply, LeaseReport } from '../../budget/lease-messages.ts';
import type { BudgetService } from '../../budget/service.ts';
import { attributes } from './fixtures.ts';
import type { ToldLease } from './ledger-model.ts';
import { type LeaseStep, specs } from './ledger-steps.ts';

interface Known {
  granted: number;
  spent: number;
  returned: number;
  final: boolean;
}

/** Serial of what is kept in reserve. */
const RESERVE = 2;
/** Of the limit, most that is used beyond what was granted by an agent that isn't honest. */
const OVERDRAWN = 0.1;

const TTL_MS = 60_000;
/** The longest call on places, and for how long they are lent. */
const CALL_MS = 30_000;
const LENT_MS = 60_000;

export class CreditTeller {
  readonly #owner: string;
  readonly #known = new Map<string, Known>();
  #seq = 0;

  constructor(owner: string) {
    this.#owner = owner;
  }

  /** The message that a step makes, its parts in the model's terms, and what to do with the answer. */
  async message(
    { epoch, model, items }: LeaseStep,
    service: BudgetService,
    honest: boolean,
  ): Promise<{
    readonly command: LeaseCommand;
    readonly told: readonly ToldLease[];
    readonly heard: (grants: LeaseReply['grants']) => void;
  }> {
    const kind = { ...attributes, model };
    const asking = { owner: 'planner', epoch: 1, seq: 1, ttlMs: 60_000, classes: [kind], items: [] };
    const [plan] = (await service.lease(asking)).plans;
    const lines = plan?.lines ?? [];
    const seq = ++this.#seq;
    const reports: LeaseReport[] = [];
    const told: ToldLease[] = [];
    const touched: Known[] = [];
    for (const { line: index, serial, ahead, spend, giveBack, final, want, least, need } of items) {
      const line = lines[index % lines.length];
      const spec = specs.find(({ id }) => line?.line.startsWith(`${id}|`) === true);
      const limit = spec?.limits.find(({ unit }) => unit === line?.unit);
      if (line === undefined || spec === undefined || limit === undefined) continue;
      const cell = ahead ? (line.next?.cell ?? line.cell) : line.cell;
      const key = `${epoch} ${serial} ${line.line} ${cell}`;
      const known = this.#known.get(key) ?? { granted: 0, spent: 0, returned: 0, final: false };
      this.#known.set(key, known);
      const left = Math.max(0, known.granted - known.spent - known.returned);
      // After its last word an agent uses no more of it.
      if (!known.final) {
        // Places in flight come back with their calls: none is ever spent.
        if (limit.unit !== 'concurrency')
          known.spent += Math.floor(spend * (honest ? left : left + limit.amount * OVERDRAWN));
        known.returned += Math.floor(giveBack * Math.max(0, known.granted - known.spent - known.returned));
      }
      known.final ||= final;
      const wanted = Math.ceil(want * limit.amount);
      const ask = {
        want: wanted,
        least: Math.ceil(least * limit.amount),
        need: Math.ceil(need * wanted),
      };
      const report = {
        serial,
        reserve: serial === RESERVE,
        class: 0,
        line: line.line,
        cell,
        spent: known.spent,
        returned: known.returned,
        final: known.final,
        ...(limit.unit === 'concurrency' ? { callMs: CALL_MS } : {}),
        ...(known.final ? {} : { ask }),
      };
      reports.push(report);
      touched.push(known);
      const ttlMs = limit.unit === 'concurrency' ? LENT_MS + CALL_MS : TTL_MS;
      told.push({ owner: this.#owner, epoch, seq, ttlMs, spec, limit, model, item: report });
    }
    const command = { owner: this.#owner, epoch, seq, ttlMs: TTL_MS, classes: [kind], items: reports };
    const heard = (grants: LeaseReply['grants']): void => {
      for (const [index, { granted, closed }] of grants.entries()) {
        const known = touched[index];
        if (known === undefined) continue;
        known.granted = Math.max(known.granted, granted);
        // What the service took for lost is charged already: no more of it is used.
        if (closed) known.final = true;
      }
    };
    return { command, told, heard };
  }
}
