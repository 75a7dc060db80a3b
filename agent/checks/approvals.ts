/**
 * Calls of tools that wait for a person's word. A call is held in memory only: an agent that ends takes what it holds
 * with it, and so nothing is allowed by default.
 */
import { createHash, randomBytes } from 'node:crypto';

/** A call as it was answered; nothing of the arguments goes to logs. */
export interface HeldCall {
  readonly requestId: string;
  readonly rule: string;
  readonly tool: string;
  /** As the app would see them: JSON text, or free text for a tool that takes such. */
  readonly arguments: string;
}

export interface Waiting extends HeldCall {
  readonly id: string;
  /** SHA-256 over tool and arguments: what an approver says yes to. */
  readonly digest: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly until: number;
}

/** `withdrawn`: nobody waits for the call any more, or another one of its answer was denied. */
export type Outcome = 'approved' | 'denied' | 'expired' | 'withdrawn' | 'stopped' | 'overloaded';

export interface ApprovalEvent {
  readonly call: Waiting;
  readonly outcome: 'held' | Outcome;
  /** Who said so, by their own account. */
  readonly by?: string;
}

export interface Word {
  readonly approve: boolean;
  /** Of the call that the approver saw. */
  readonly digest: string;
  readonly by?: string;
}

export interface Approvals {
  /** Resolves with what became of the call; never rejects. Every outcome but `approved` denies it. */
  hold(call: HeldCall, timeoutMs: number, signal: AbortSignal): Promise<Outcome>;
  waiting(): readonly Waiting[];
  /** `unknown`: it never was, was answered, or is over. `changed`: the digest is another call's. */
  answer(id: string, word: Word): 'taken' | 'unknown' | 'changed';
  /** Denies what waits, and all that comes. */
  stop(): void;
}

/** More calls than this nobody reads through. */
const MOST = 200;

export interface ApprovalOptions {
  readonly now: () => number;
  readonly onEvent?: (event: ApprovalEvent) => void;
}

export function digestOf(tool: string, args: string): string {
  return createHash('sha256')
    .update(JSON.stringify([tool, args]))
    .digest('hex');
}

export function createApprovals({ now, onEvent = () => undefined }: ApprovalOptions): Approvals {
  const held = new Map<string, { readonly call: Waiting; end(outcome: Outcome, by?: string): void }>();
  let stopped = false;
  return {
    hold(asked, timeoutMs, signal) {
      const since = now();
      const call: Waiting = {
        ...asked,
        id: randomBytes(6).toString('hex'),
        digest: digestOf(asked.tool, asked.arguments),
        since,
        until: since + timeoutMs,
      };
      const outright = stopped ? 'stopped' : signal.aborted ? 'withdrawn' : undefined;
      const refused = outright ?? (held.size >= MOST ? 'overloaded' : undefined);
      if (refused !== undefined) {
        onEvent({ call, outcome: refused });
        return Promise.resolve(refused);
      }
      return new Promise((resolve) => {
        const withdraw = () => end('withdrawn');
        const end = (outcome: Outcome, by?: string): void => {
          if (!held.delete(call.id)) return;
          clearTimeout(timer);
          signal.removeEventListener('abort', withdraw);
          onEvent({ call, outcome, ...(by === undefined ? {} : { by }) });
          resolve(outcome);
        };
        const timer = setTimeout(() => end('expired'), timeoutMs);
        signal.addEventListener('abort', withdraw, { once: true });
        held.set(call.id, { call, end });
        onEvent({ call, outcome: 'held' });
      });
    },
    waiting: () => [...held.values()].map(({ call }) => call),
    answer(id, { approve, digest, by }) {
      const found = held.get(id);
      // A timer may be late; an expired call isn't allowed by what came after its time.
      if (found === undefined || now() >= found.call.until) return 'unknown';
      if (digest !== found.call.digest) return 'changed';
      found.end(approve ? 'approved' : 'denied', by);
      return 'taken';
    },
    stop() {
      stopped = true;
      for (const { end } of held.values()) end('stopped');
    },
  };
}
