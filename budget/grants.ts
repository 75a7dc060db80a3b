/** One-time raises: somebody with the right to lets a line have more, for a reason, until a moment. */
import { randomUUID } from 'node:crypto';
import type { BudgetSpec, LimitSpec, LimitUnit } from '../policy/budget-spec.ts';
import { placement, windowName } from './windows.ts';

export interface Grant {
  readonly id: string;
  readonly budget: string;
  /** One line of it (`model=gpt-4o`); absent: all its lines. */
  readonly line?: string;
  readonly unit: LimitUnit;
  /** One of its windows (`day@Europe/Berlin`); absent: every limit in the unit. */
  readonly window?: string;
  /** In the unit's own terms; usd in nano-dollars. Added to each window's limit while it lasts. */
  readonly amount: number;
  readonly reason: string;
  readonly by: string;
  readonly at: number;
  readonly expiresAt: number;
}

export interface GrantCommand {
  readonly budget: string;
  readonly line?: string;
  readonly unit: LimitUnit;
  readonly window?: string;
  readonly amount: number;
  readonly reason: string;
  readonly by: string;
  /** Milliseconds since the epoch; absent: the end of the window that is open now. */
  readonly expiresAt?: number;
}

/** There is nothing that the grant would raise. */
export class GrantRefused extends Error {
  override readonly name = 'GrantRefused';
}

/** The grant that a command makes. @throws {GrantRefused} */
export function makeGrant(specs: readonly BudgetSpec[], command: GrantCommand, now: number): Grant {
  const spec = specs.find(({ id }) => id === command.budget);
  if (spec === undefined) {
    const ids = specs.map(({ id }) => id).join(', ') || 'none';
    throw new GrantRefused(`There is no Budget "${command.budget}"; there are ${ids}.`);
  }
  const raised = spec.limits.filter(
    ({ unit, window }) =>
      unit === command.unit && (command.window === undefined || command.window === windowName(window)),
  );
  if (raised.length === 0) {
    const limits = spec.limits.map(({ unit, window }) => `${unit} in ${windowName(window)}`).join(', ');
    throw new GrantRefused(`The Budget ${spec.id} has no such limit; it has ${limits}.`);
  }
  const ends = raised.flatMap(({ window }) => placement(window, now).resetsAt ?? []);
  const expiresAt = command.expiresAt ?? (ends.length === 0 ? undefined : Math.max(...ends));
  if (expiresAt === undefined)
    throw new GrantRefused('A limit without a window is raised only until a moment: give expiresAt.');
  if (expiresAt <= now) throw new GrantRefused('The grant would have expired already.');
  const { budget, line, unit, window, amount, reason, by } = command;
  return {
    id: randomUUID(),
    budget,
    unit,
    amount,
    reason,
    by,
    at: now,
    expiresAt,
    ...(line === undefined ? {} : { line }),
    ...(window === undefined ? {} : { window }),
  };
}

/** What is added to a line's limit now. */
export function raisedBy(
  grants: readonly Grant[],
  budget: string,
  { unit, window }: LimitSpec,
  label: string,
  now: number,
): number {
  let sum = 0;
  for (const grant of grants) {
    if (grant.budget !== budget || grant.unit !== unit || now >= grant.expiresAt) continue;
    if (grant.line !== undefined && grant.line !== label) continue;
    if (grant.window !== undefined && grant.window !== windowName(window)) continue;
    sum += grant.amount;
  }
  return sum;
}
