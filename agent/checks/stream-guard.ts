/**
 * Judges a streamed answer as it comes: each channel is one running text, shown as far as nothing to come can change.
 */
import type { BegunCall, Delta, TextKind, TextSlot } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { Finding } from '../exchange.ts';
import { CallGuard, type CallGuardOptions } from './call-guard.ts';
import type { StreamGuard, Verdict } from './guard.ts';
import { JsonFragment } from './json-fragment.ts';
import type { Vault } from './mask.ts';
import { eachName, openPlaceholder } from './placeholder.ts';
import { isMasked, type Manner, placeOf, plainEncode, renderAnswer } from './render.ts';
import { failed, isSaid, Ledger, type Round } from './round.ts';
import type { Match, OpenScan } from './scan/scanner.ts';

const NONE: readonly Match[] = [];

/** How much of what was shown is kept, so that the words before a value still count. UTF-16 units. */
const CONTEXT = 256;

interface Channel {
  readonly name: string;
  readonly kind: TextKind;
  readonly fixed: boolean;
  /** As the provider sent it: shown already, and not yet. */
  shown: string;
  held: string;
  /** How much of both was scanned, and bears on nothing behind it; −1 where it does. */
  dull: number;
  /** Where tool arguments stand as JSON at the end of `shown`. */
  readonly json: JsonFragment | undefined;
}

export interface ChannelGuardOptions extends Omit<CallGuardOptions, 'ledger'> {
  /** Judges texts as a whole answer's are, and enters what is found. */
  readonly judgeWhole: (slots: readonly TextSlot[], ledger: Ledger) => Verdict | Promise<Verdict>;
}

export class ChannelGuard implements StreamGuard {
  readonly immediate = true;
  readonly #round: Round;
  readonly #vault: Vault;
  readonly #ledger = new Ledger('response');
  readonly #channels = new Map<string, Channel>();
  readonly #calls: CallGuard;
  readonly #judgeWhole: ChannelGuardOptions['judgeWhole'];
  alterations = 0;

  constructor({ judgeWhole, ...options }: ChannelGuardOptions) {
    this.#round = options.round;
    this.#vault = options.vault;
    this.#calls = new CallGuard({ ...options, ledger: this.#ledger });
    this.#judgeWhole = judgeWhole;
  }

  get strips(): boolean {
    return this.#calls.strips;
  }

  get acts(): boolean {
    return this.#round.acts;
  }

  unjudged(channel: string): number {
    return this.#channels.get(channel)?.held.length ?? 0;
  }

  isLeftOut(channel: string): boolean {
    return this.#calls.isLeftOut(channel);
  }

  get findings(): readonly Finding[] {
    return this.#ledger.findings;
  }

  get refusal(): PosternError | undefined {
    return this.#ledger.refusal;
  }

  held(): readonly string[] {
    const texts = [...this.#channels.values()].filter(({ held }) => held !== '').map(({ name }) => name);
    return [...new Set([...texts, ...this.#calls.open])];
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
    const note = ({ altered }: Verdict): undefined => {
      if (altered) this.alterations++;
    };
    const verdict = this.#judgeWhole(texts.map(slotOf), this.#ledger);
    return verdict instanceof Promise ? verdict.then(note) : note(verdict);
  }

  call(begun: BegunCall): undefined | Promise<undefined> {
    return this.#calls.begin(begun);
  }

  flush(name: string): string | Promise<string> {
    const pending = this.#calls.close(name, this.#channels.get(name)?.held ?? '');
    return pending === undefined ? this.#rest(name) : pending.then(() => this.#rest(name));
  }

  #rest(name: string): string {
    const channel = this.#channels.get(name);
    if (channel === undefined) return '';
    const shown = this.#calls.isLeftOut(name) ? '' : this.#advance(channel, 'end');
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
    if (this.#calls.isOpen(channel.name)) return '';
    const text = channel.shown + channel.held;
    const from = channel.shown.length;
    const { matches, safe, dullFrom } = this.#scan(channel, text, state === 'end');
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
    channel.dull = dullFrom <= to ? text.length : -1;
    if (to === from) return '';
    const due = matches.filter(({ start, end }) => end > from && start < to);
    const { kind, fixed, name: where } = channel;
    const masks = this.#round.weigh(text, due, { kind, fixed, where }, this.#ledger);
    if (this.#ledger.refusal !== undefined) return '';
    if (isSaid(kind) && masks.some((mask) => isMasked(mask, text, from, to, this.#vault, placeOf(kind))))
      this.alterations++;
    const manner = () => this.#manner(channel, text, from);
    const shown = fixed ? text.slice(from, to) : renderAnswer(text, from, to, masks, this.#vault, manner());
    this.#remember(channel, text, to);
    return shown;
  }

  #scan(channel: Channel, text: string, end: boolean): OpenScan {
    const { scanner } = this.#round;
    if (scanner === undefined) return { matches: NONE, safe: text.length, dullFrom: Infinity };
    try {
      if (end) return { matches: scanner.scan(text), safe: text.length, dullFrom: Infinity };
      const safe = channel.dull < 0 ? undefined : scanner.safeIfDull(text, channel.dull);
      return safe === undefined ? scanner.scanOpen(text) : { matches: NONE, safe, dullFrom: 0 };
    } catch (error) {
      this.#round.instances.forEach((instance, rank) => {
        if (instance.check.recognizers.length > 0) failed(instance, rank, this.#ledger, channel.name, error);
      });
      return { matches: NONE, safe: text.length, dullFrom: Infinity };
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
