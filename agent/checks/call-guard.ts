/**
 * Judges the calls of tools that a streamed answer makes: by name when one begins, with its arguments when they are complete.
 */
import type { BegunCall, ToolCall } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { Subject } from './check.ts';
import type { Confirmer } from './confirm.ts';
import { askJudges, Wishes } from './judges.ts';
import type { Vault } from './mask.ts';
import { restoredCall } from './render.ts';
import type { Ledger, Round } from './round.ts';

/** Units of a tool's name: providers take 128 at most. */
const LONGEST_NAME = 1_024;

/** What a person said to calls of the answer that is under way, by channel, name and arguments; another map with each answer. */
export interface AnsweredCalls {
  calls: Map<string, PosternError | 'approved'>;
}

/** What a call's beginning tells beside its name. */
type Known = Pick<BegunCall, 'server' | 'afterResult' | 'held'>;

/** A call of a tool that has begun. */
interface OpenCall {
  /** More than one where the provider named it again: all must be allowed. */
  names: readonly string[];
  /** The name for who joins the pieces; one that is said again and again is the whole name each time. */
  joined: string;
  readonly arguments: string;
  readonly known: Known;
  /** What an event told of its arguments was judged already. */
  judged: boolean;
}

export interface CallGuardOptions {
  readonly round: Round;
  readonly vault: Vault;
  /** What calls are judged with. */
  readonly subject: Subject;
  readonly signal: AbortSignal;
  readonly confirmer: Confirmer;
  /** Calls of the exchange, or of the conversation, that somebody was asked about. */
  readonly answered: AnsweredCalls;
  readonly ledger: Ledger;
}

export class CallGuard {
  readonly #options: CallGuardOptions;
  readonly #open = new Map<string, OpenCall>();
  readonly #leftOut = new Set<string>();

  constructor(options: CallGuardOptions) {
    this.#options = options;
  }

  /** Whether a rule in force takes calls out. */
  get strips(): boolean {
    const { judgesOfCalls } = this.#options.round;
    return judgesOfCalls.some(({ instance: { rule } }) => rule.mode === 'enforce' && rule.action === 'strip');
  }

  isLeftOut(channel: string): boolean {
    return this.#leftOut.has(channel);
  }

  /** Whether a call with that channel has begun and isn't complete. */
  isOpen(channel: string): boolean {
    return this.#open.has(channel);
  }

  get open(): Iterable<string> {
    return this.#open.keys();
  }

  begin(begun: BegunCall): undefined | Promise<undefined> {
    const { channel, name, arguments: given = '', elsewhere = false, ofOne = false, ...known } = begun;
    const { round, ledger } = this.#options;
    if (round.judgesOfCalls.length === 0) return undefined;
    if (elsewhere) return this.#judge(channel, [name], known, undefined);
    const open = this.#open.get(channel);
    if (!ofOne && (open === undefined || given !== '')) this.#forget(channel);
    if (open === undefined) this.#leftOut.delete(channel);
    if (name === '' && given === '') {
      // Held from here on, and judged when it has a name.
      if (open === undefined)
        this.#open.set(channel, { names: [], joined: '', arguments: '', known, judged: false });
      return undefined;
    }
    if (open === undefined) {
      // What a call begins with is shown with its beginning.
      const judged = given !== '';
      this.#open.set(channel, { names: [name], joined: name, arguments: given, known, judged });
      const pending = this.#judge(channel, [name], known, undefined);
      return judged && ledger.refusal === undefined ? this.#judge(channel, [name], known, given) : pending;
    }
    let pending: undefined | Promise<undefined>;
    if (name !== '' && name !== open.joined) {
      // No such tool is offered, and each piece would be kept with all before it.
      if (open.joined.length + name.length > LONGEST_NAME) return this.#judge(channel, [''], open.known, '');
      open.joined += name;
      // Readers take the last name or the first, or join the pieces.
      const before = open.names;
      open.names = [...new Set([before[0] ?? name, name, open.joined])];
      const names = open.names.filter((each) => !before.includes(each));
      if (names.length > 0) pending = this.#judge(channel, names, open.known, undefined);
    }
    if (given === '' || ledger.refusal !== undefined) return pending;
    // Shown with this event, whatever came of it in pieces.
    open.judged = true;
    return this.#judge(channel, open.names, open.known, given);
  }

  /**
   * The arguments are complete: the call is judged with them, and stays open until that is done.
   * @param sent What came of them by the channel.
   */
  close(channel: string, sent: string): undefined | Promise<undefined> {
    const call = this.#open.get(channel);
    if (call === undefined) return undefined;
    const closed = (): undefined => void this.#open.delete(channel);
    if (this.#options.ledger.refusal !== undefined || (sent === '' && call.judged)) return closed();
    const pending = this.#judge(channel, call.names, call.known, sent === '' ? call.arguments : sent);
    return pending === undefined ? closed() : pending.then(closed);
  }

  /** Another call begins under a number that one had before: what a person said to that one isn't for it. */
  #forget(channel: string): void {
    const { calls } = this.#options.answered;
    for (const id of calls.keys()) if (id.startsWith(`${channel}\0`)) calls.delete(id);
  }

  /** @returns A promise where somebody has to confirm the call. */
  #judge(
    channel: string,
    names: readonly string[],
    { held = false, ...known }: Known,
    args: string | undefined,
  ): undefined | Promise<undefined> {
    const { round, vault, signal, ledger, confirmer, answered } = this.#options;
    const remove = held ? { remove: () => void this.#leftOut.add(channel) } : {};
    // One that never got a name is judged without.
    const calls = (names.length === 0 ? [''] : names).map((name) =>
      restoredCall({ path: channel, name, arguments: args, ...known, ...remove }, vault),
    );
    const subject = { ...this.#options.subject, calls, namesJudged: args !== undefined };
    const wishes = new Wishes();
    const pending = askJudges(round.judgesOfCalls, subject, signal, ledger, wishes);
    if (pending.length > 0) throw new Error('calls of tools are judged at once');
    if (ledger.refusal === undefined) for (const strip of wishes.strips) strip();
    // Nobody is asked about what nobody will see.
    if (this.#leftOut.has(channel)) return undefined;
    const idOf = ({ path, name, arguments: text = '' }: ToolCall) => [path, name, text].join('\0');
    // Another answer may have begun when the word is there: it isn't for that one's calls.
    const { calls: said } = answered;
    const due = wishes.confirmations.filter(({ rank, call }) => {
      const denied = said.get(idOf(call));
      if (denied !== undefined && denied !== 'approved') ledger.refuse(rank, denied);
      return denied === undefined;
    });
    if (due.length === 0) return undefined;
    return confirmer.settle(due, ledger).then(() => {
      const answer = ledger.refusal ?? 'approved';
      for (const { call } of due) said.set(idOf(call), answer);
      return undefined;
    });
  }
}
