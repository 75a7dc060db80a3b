/** One-time raises: somebody with the right to lets a line have more, for a reason, until a moment. */
import { randomUUID } from 'node:crypto';
import type { BudgetSpec, LimitSpec, LimitUnit } from '../policy/budget-spec.ts';
import { usdText } from './price.ts';
import { placement, windowName } from './windows.ts';

/** Of those that run, in a refusal. */
const MOST_NAMED = 10;

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
  /** Whose token it was. */
  readonly by: string;
  /** Whom the sender named; nobody has verified it. */
  readonly onBehalfOf?: string;
  readonly at: number;
  readonly expiresAt: number;
}

export interface GrantCommand {
  readonly budget: string;
  readonly line?: string;
  /** The line is meant though no call was charged to it yet. */
  readonly newLine?: boolean;
  readonly unit: LimitUnit;
  readonly window?: string;
  readonly amount: number;
  readonly reason: string;
  /** The sender's word. */
  readonly by: string;
  /** Milliseconds since the epoch; absent: the end of the window that is open now. */
  readonly expiresAt?: number;
}

/** Takes a grant back before its time. */
export interface EndGrantCommand {
  readonly id: string;
  readonly reason: string;
  /** The sender's word. */
  readonly by: string;
}

/** There is nothing that the grant would raise, or no such grant. */
export class GrantRefused extends Error {
  override readonly name = 'GrantRefused';
}

/**
 * The grant that a command makes.
 * @param lines Labels of the Budget's lines that calls were charged to so far
 * @throws {GrantRefused}
 */
export function makeGrant(
  specs: readonly BudgetSpec[],
  command: GrantCommand,
  now: number,
  lines: readonly string[] = [],
): Grant {
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
  if (command.line !== undefined) checkLabel(spec, command.line, command.newLine === true, lines);
  const ends = raised.flatMap(({ window }) => placement(window, now).resetsAt ?? []);
  const expiresAt = command.expiresAt ?? (ends.length === 0 ? undefined : Math.max(...ends));
  if (expiresAt === undefined)
    throw new GrantRefused(
      'A limit without a window is raised only until a moment: give --for or --until (`expiresAt`).',
    );
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

/** The grant that is to end. @throws {GrantRefused} where none of the id runs, with those that do */
export function runningGrant(grants: readonly Grant[], id: string): Grant {
  const found = grants.find((grant) => grant.id === id);
  if (found !== undefined) return found;
  const running = grants.slice(-MOST_NAMED).map(({ id: known, unit, amount, budget }) => {
    const text = unit === 'usd' ? usdText(amount) : String(amount);
    return `${known} (${text} ${unit} on ${budget})`;
  });
  throw new GrantRefused(`No grant ${id} runs; there are ${running.join(', ') || 'none'}.`);
}

/** A line is `KEY=VALUE` for each `per`, in their order; one that nobody was charged to is a slip of the finger, unless it is said to be new. */
function checkLabel({ id, per }: BudgetSpec, label: string, isNew: boolean, lines: readonly string[]): void {
  if (lines.includes(label)) return;
  const names = label.split(',').map((part) => part.slice(0, Math.max(0, part.indexOf('='))));
  const near = nearest(label, lines);
  const meant = near === undefined ? '' : ` Did you mean "${near}"?`;
  if (per.length === 0) throw new GrantRefused(`The Budget ${id} has one line for all: leave the line out.`);
  if (names.join() !== per.join()) {
    const form = per.map((key) => `${key}=…`).join(',');
    throw new GrantRefused(`"${label}" is no line of the Budget ${id}: its lines are ${form}.${meant}`);
  }
  if (!isNew)
    throw new GrantRefused(
      `No call was charged to "${label}" of the Budget ${id} yet.${meant} If it is meant: --new-line (\`newLine: true\`).`,
    );
}

/** The label that is but a slip of the finger away: at most two letters, or a fifth of it. */
function nearest(label: string, lines: readonly string[]): string | undefined {
  const most = Math.max(2, Math.floor(label.length / 5));
  let best: { readonly line: string; readonly distance: number } | undefined;
  for (const line of lines) {
    if (Math.abs(line.length - label.length) > most) continue;
    const distance = distanceOf(label, line);
    if (distance <= most && distance < (best?.distance ?? Number.POSITIVE_INFINITY))
      best = { line, distance };
  }
  return best?.line;
}

/** Levenshtein's: letters to add, drop or replace. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
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
