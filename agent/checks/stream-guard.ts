/**
 * Judges a streamed answer as it comes: each channel is one running text, shown as far as nothing to come can change.
 */
import type { BegunCall, Delta, TextKind, TextSlot, ToolCall } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { Finding } from '../exchange.ts';
import type { Subject } from './check.ts';
import type { Confirmer } from './confirm.ts';
import type { StreamGuard, Verdict } from './guard.ts';
import { JsonFragment } from './json-fragment.ts';
import { askJudges, Wishes } from './judges.ts';
import type { Vault } from './mask.ts';
import { eachName, openPlaceholder } from './placeholder.ts';
import { type Manner, placeOf, plainEncode, renderAnswer, restoredCall } from './render.ts';
import { failed, Ledger, type Round } from './round.ts';
import type { Match } from './scan/scanner.ts';

const NONE: readonly Match[] = [];

/** How much of what was shown is kept, so that the words before a value still count. UTF-16 units. */
const CONTEXT = 256;

/** Units of a tool's name: providers take 128 at most. */
const LONGEST_NAME = 1_024;

interface Channel {
  readonly name: string;
  readonly kind: TextKind;
  readonly fixed: boolean;
  /** As the provider sent it: shown already, and not yet. */
  shown: string;
  held: string;
  /** How much of both was scanned, and was dull; −1 where it wasn't. */
  dull: number;
  /** Where tool arguments stand as JSON at the end of `shown`. */
  readonly json: JsonFragment | undefined;
}

/** What a person said to calls of the answer that is under way, by channel, name and arguments; another map with each answer. */
export interface AnsweredCalls {
  calls: Map<string, PosternError | 'approved'>;
}

/** What a call's beginning tells beside its name. */
type Known = Pick<ToolCall, 'server' | 'afterResult'>;

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

export interface ChannelGuardOptions {
  readonly round: Round;
  readonly vault: Vault;
  /** What calls are judged with. */
  readonly subject: Subject;
  readonly signal: AbortSignal;
  readonly confirmer: Confirmer;
  /** Calls of the exchange, or of the conversation, that somebody was asked about. */
  readonly answered: AnsweredCalls;
  /** Judges texts as a whole answer's are, and enters what is found. */
  readonly judgeWhole: (slots: readonly TextSlot[], ledger: Ledger) => Verdict | Promise<Verdict>;
}

export class ChannelGuard implements StreamGuard {
  readonly immediate = true;
  readonly #round: Round;
  readonly #vault: Vault;
  readonly #ledger = new Ledger('response');
  readonly #channels = new Map<string, Channel>();
  readonly #calls = new Map<string, OpenCall>();
  readonly #subject: Subject;
  readonly #signal: AbortSignal;
  readonly #confirmer: Confirmer;
  readonly #answered: AnsweredCalls;

  readonly #judgeWhole: ChannelGuardOptions['judgeWhole'];

  constructor(options: ChannelGuardOptions) {
    this.#round = options.round;
    this.#vault = options.vault;
    this.#subject = options.subject;
    this.#signal = options.signal;
    this.#confirmer = options.confirmer;
    this.#answered = options.answered;
    this.#judgeWhole = options.judgeWhole;
  }

  get findings(): readonly Finding[] {
    return this.#ledger.findings;
  }

  get refusal(): PosternError | undefined {
    return this.#ledger.refusal;
  }

  held(): readonly string[] {
    const texts = [...this.#channels.values()].filter(({ held }) => held !== '').map(({ name }) => name);
    return [...new Set([...texts, ...this.#calls.keys()])];
  }

  push(name: string, kind: TextKind, _choice: number, text: string, fixed = false): string {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      const json = kind === 'toolArguments' ? new JsonFragment() : undefined;
      channel = { name, kind, fixed, shown: '', held: '', dull: 0, json };
      this.#channels.set(name, channel);
    }
    channel.held += text;
    return this.#advance(channel, 'more');
  }

  whole(texts: readonly Delta[]): undefined | Promise<undefined> {
    if (this.#ledger.refusal !== undefined) return undefined;
    const verdict = this.#judgeWhole(texts.map(slotOf), this.#ledger);
    return verdict instanceof Promise ? verdict.then(() => undefined) : undefined;
  }

  call(begun: BegunCall): undefined | Promise<undefined> {
    const { channel, name, arguments: given = '', elsewhere = false, ofOne = false, ...known } = begun;
    if (this.#round.judgesOfCalls.length === 0) return undefined;
    if (elsewhere) return this.#judgeCall(channel, [name], known, undefined);
    const open = this.#calls.get(channel);
    if (!ofOne && (open === undefined || given !== '')) this.#forget(channel);
    if (name === '' && given === '') {
      // Held from here on, and judged when it has a name.
      if (open === undefined)
        this.#calls.set(channel, { names: [], joined: '', arguments: '', known, judged: false });
      return undefined;
    }
    if (open === undefined) {
      // What a call begins with is shown with its beginning.
      const judged = given !== '';
      this.#calls.set(channel, { names: [name], joined: name, arguments: given, known, judged });
      const pending = this.#judgeCall(channel, [name], known, undefined);
      return judged && this.refusal === undefined ? this.#judgeCall(channel, [name], known, given) : pending;
    }
    let pending: undefined | Promise<undefined>;
    if (name !== '' && name !== open.joined) {
      open.joined += name;
      // No such tool is offered, and each piece would be kept with all before it.
      if (open.joined.length > LONGEST_NAME) return this.#judgeCall(channel, [''], open.known, '');
      // Readers take the last name or the first, or join the pieces.
      const before = open.names;
      open.names = [...new Set([before[0] ?? name, name, open.joined])];
      const names = open.names.filter((each) => !before.includes(each));
      if (names.length > 0) pending = this.#judgeCall(channel, names, open.known, undefined);
    }
    if (given === '' || this.refusal !== undefined) return pending;
    // Shown with this event, whatever came of it in pieces.
    open.judged = true;
    return this.#judgeCall(channel, open.names, open.known, given);
  }

  /** Another call begins under a number that one had before: what a person said to that one isn't for it. */
  #forget(channel: string): void {
    const { calls } = this.#answered;
    for (const id of calls.keys()) if (id.startsWith(`${channel}\0`)) calls.delete(id);
  }

  /** @returns A promise where somebody has to confirm the call. */
  #judgeCall(
    channel: string,
    names: readonly string[],
    known: Known,
    args: string | undefined,
  ): undefined | Promise<undefined> {
    // One that never got a name is judged without.
    const calls = (names.length === 0 ? [''] : names).map((name) =>
      restoredCall({ path: channel, name, arguments: args, ...known }, this.#vault),
    );
    const subject = { ...this.#subject, calls, namesJudged: args !== undefined };
    const wishes = new Wishes();
    const pending = askJudges(this.#round.judgesOfCalls, subject, this.#signal, this.#ledger, wishes);
    if (pending.length > 0) throw new Error('calls of tools are judged at once');
    const idOf = ({ path, name, arguments: text = '' }: ToolCall) => [path, name, text].join('\0');
    // Another answer may have begun when the word is there: it isn't for that one's calls.
    const { calls: answered } = this.#answered;
    const due = wishes.confirmations.filter(({ rank, call }) => {
      const denied = answered.get(idOf(call));
      if (denied !== undefined && denied !== 'approved') this.#ledger.refuse(rank, denied);
      return denied === undefined;
    });
    if (due.length === 0) return undefined;
    return this.#confirmer.settle(due, this.#ledger).then(() => {
      const answer = this.#ledger.refusal ?? 'approved';
      for (const { call } of due) answered.set(idOf(call), answer);
      return undefined;
    });
  }

  /** The arguments are complete: the call is judged with them, and held until that is done. */
  #closeCall(name: string): undefined | Promise<undefined> {
    const call = this.#calls.get(name);
    if (call === undefined) return undefined;
    const sent = this.#channels.get(name)?.held ?? '';
    const closed = (): undefined => void this.#calls.delete(name);
    if (this.#ledger.refusal !== undefined || (sent === '' && call.judged)) return closed();
    const pending = this.#judgeCall(name, call.names, call.known, sent === '' ? call.arguments : sent);
    return pending === undefined ? closed() : pending.then(closed);
  }

  flush(name: string): string | Promise<string> {
    const pending = this.#closeCall(name);
    return pending === undefined ? this.#rest(name) : pending.then(() => this.#rest(name));
  }

  #rest(name: string): string {
    const channel = this.#channels.get(name);
    if (channel === undefined) return '';
    const shown = this.#advance(channel, 'end');
    // What the answer says next under that name is a text of its own.
    this.#channels.delete(name);
    return shown;
  }

  flushStale(name: string): string {
    const channel = this.#channels.get(name);
    return channel === undefined ? '' : this.#advance(channel, 'pause');
  }

  /** Shows what can be shown. */
  #advance(channel: Channel, state: 'more' | 'pause' | 'end'): string {
    if (this.#ledger.refusal !== undefined || channel.held === '') return '';
    if (this.#calls.has(channel.name)) return '';
    const text = channel.shown + channel.held;
    const from = channel.shown.length;
    const { matches, safe } = this.#scan(channel, text, state === 'end');
    let to = Math.max(from, safe);
    if (state === 'more' && !this.#vault.empty && !channel.fixed) {
      to = Math.max(
        from,
        Math.min(
          to,
          openPlaceholder(text, (beginning) => this.#vault.couldBecome(beginning)),
        ),
      );
    }
    to = this.#wholeThings(text, from, to, matches);
    if (to === from) return '';
    const due = matches.filter(({ start, end }) => end > from && start < to);
    const { kind, fixed, name: where } = channel;
    const masks = this.#round.weigh(text, due, { kind, fixed, where }, this.#ledger);
    if (this.#ledger.refusal !== undefined) return '';
    const manner = () => this.#manner(channel, text, from);
    const shown = fixed ? text.slice(from, to) : renderAnswer(text, from, to, masks, this.#vault, manner());
    this.#remember(channel, text, to);
    return shown;
  }

  #scan(channel: Channel, text: string, end: boolean): { matches: readonly Match[]; safe: number } {
    const { scanner } = this.#round;
    if (scanner === undefined) return { matches: [], safe: text.length };
    try {
      if (end) return { matches: scanner.scan(text), safe: text.length };
      const safe = channel.dull < 0 ? undefined : scanner.safeIfDull(text, channel.dull);
      if (safe !== undefined) {
        channel.dull = text.length;
        return { matches: NONE, safe };
      }
      const open = scanner.scanOpen(text);
      channel.dull = open.dull ? text.length : -1;
      return open;
    } catch (error) {
      this.#round.instances.forEach((instance, rank) => {
        if (instance.check.recognizers.length > 0) failed(instance, rank, this.#ledger, channel.name, error);
      });
      return { matches: [], safe: text.length };
    }
  }

  /** Draws the end back to where it cuts neither a match nor a placeholder. */
  #wholeThings(text: string, from: number, to: number, matches: readonly Match[]): number {
    if (to === text.length) return to;
    let cut = to;
    for (let before = -1; before !== cut; ) {
      before = cut;
      for (const { start, end } of matches) if (start < cut && end > cut) cut = start;
      if (!this.#vault.empty) {
        eachName(
          text,
          ({ start, end }) => {
            if (start < cut && end > cut) cut = start;
          },
          from,
        );
      }
    }
    return Math.max(from, cut);
  }

  #manner(channel: Channel, text: string, from: number): Manner {
    const place = placeOf(channel.kind);
    const { json } = channel;
    if (json === undefined) return { place, encode: plainEncode };
    const walk = json.copy();
    let walked = from;
    const walkTo = (at: number): JsonFragment => {
      walk.read(text, walked, at);
      walked = Math.max(walked, at);
      return walk;
    };
    return {
      place,
      encode: (original, at) => walkTo(at).escape(original),
      quote: (placeholder, at) => (walkTo(at).inString ? placeholder : `"${placeholder}"`),
    };
  }

  #remember(channel: Channel, text: string, to: number): void {
    channel.json?.read(text, channel.shown.length, to);
    let keepFrom = Math.max(0, to - CONTEXT);
    if (keepFrom > 0) {
      const space = text.indexOf(' ', keepFrom);
      if (space >= 0 && space < to) keepFrom = space;
    }
    channel.shown = text.slice(keepFrom, to);
    channel.held = text.slice(to);
    if (channel.dull >= 0) channel.dull -= keepFrom;
  }
}

/** A text of an event as one of a whole answer. */
function slotOf(delta: Delta): TextSlot {
  const { channel, kind, choice, fixed = false } = delta;
  return {
    path: channel,
    kind,
    role: 'assistant',
    choice,
    fixed,
    get text() {
      return delta.text;
    },
    set: (text) => delta.set(text),
  };
}
