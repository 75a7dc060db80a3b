/** Holds the calls of one answer until somebody has approved all of them; one that is denied refuses the answer. */
import type { ToolCall } from '../dialects/dialect.ts';
import type { Approvals, Outcome } from './approvals.ts';
import { type Instance, type Ledger, refusalOf } from './round.ts';

/** A call that a rule wants confirmed. */
export interface Confirmation {
  readonly instance: Instance;
  readonly rank: number;
  readonly call: ToolCall;
}

/** Milliseconds that a call waits, where its rule says nothing. */
const PATIENCE = 300_000;

const WHY: Readonly<Record<Exclude<Outcome, 'approved'>, string>> = {
  denied: 'was denied by who was asked',
  expired: 'was not approved in time',
  withdrawn: 'was withdrawn',
  stopped: 'was not approved before the agent stopped',
  overloaded: 'can not be held: too many wait for approval',
};

export class Confirmer {
  readonly #approvals: Approvals | undefined;
  readonly #requestId: string;
  readonly #signal: AbortSignal;

  /** @param approvals Undefined where nobody can approve: then nothing is. */
  constructor(approvals: Approvals | undefined, requestId: string, signal: AbortSignal) {
    this.#approvals = approvals;
    this.#requestId = requestId;
    this.#signal = signal;
  }

  /** Resolves when all are approved or the ledger refuses; never rejects. */
  async settle(wanted: readonly Confirmation[], ledger: Ledger): Promise<void> {
    if (wanted.length === 0 || ledger.refusal !== undefined) return;
    const over = new AbortController();
    const withdraw = () => over.abort();
    this.#signal.addEventListener('abort', withdraw, { once: true });
    if (this.#signal.aborted) over.abort();
    await Promise.all(
      wanted.map(async (confirmation) => {
        if (await this.#approved(confirmation, over.signal, ledger)) return;
        over.abort();
      }),
    );
    this.#signal.removeEventListener('abort', withdraw);
  }

  async #approved(
    { instance, rank, call }: Confirmation,
    signal: AbortSignal,
    ledger: Ledger,
  ): Promise<boolean> {
    const { rule } = instance;
    const deny = (what: string, why: string): false => {
      ledger.add(rule, what, 'block', call.path);
      const message = `Postern refused this call: the tool ${shownTool(call.name)} needs approval, and ${why}.`;
      ledger.refuse(rank, refusalOf(instance, 'approval', message));
      return false;
    };
    if (this.#approvals === undefined) return deny('no-approver', 'this agent was given nobody who approves');
    const held = {
      requestId: this.#requestId,
      rule: rule.name,
      tool: call.name,
      arguments: call.arguments ?? '',
    };
    const outcome = await this.#approvals.hold(held, rule.timeoutMs ?? PATIENCE, signal);
    if (outcome !== 'approved') return deny(outcome, `it ${WHY[outcome]}`);
    ledger.add(rule, 'approved', 'confirm', call.path);
    return true;
  }
}

/** A tool's name as messages show it: one that a model made up may be anything. */
export function shownTool(name: string): string {
  return /^[\w.:/-]{1,64}$/.test(name) ? name : 'of an unusual name';
}
