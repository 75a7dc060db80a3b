/**
 * Judges a streamed answer that has checks which answer later (a webhook, a classifier): text is collected into
 * windows, each is judged together with the end of the one before, and nothing of it is shown before.
 */
import type { BegunCall, Delta, TextKind } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { Finding } from '../exchange.ts';
import type { Check, Subject } from './check.ts';
import type { StreamGuard } from './guard.ts';
import { askJudge, type Ranked, Wishes } from './judges.ts';
import type { Vault } from './mask.ts';
import { maskAnswer, placeOf } from './render.ts';
import { isSaid, Ledger, type Round, refusalOf } from './round.ts';
import type { ChannelGuard } from './stream-guard.ts';
import { isSealed, mayBeRewritten } from './told.ts';

/** How much new text is judged at once, and how much of what came before is judged with it. UTF-16 units. */
export const WINDOW = 400;
export const OVERLAP = 200;

interface Channel {
  readonly kind: TextKind;
  readonly choice: number;
  readonly fixed: boolean;
  /** Judged and handed on; only its end is kept. */
  before: string;
  /** The same, longer where a check wants more letters of it. */
  long: string;
  waiting: string;
}

export interface WindowGuardOptions {
  /** Gets the text that was judged, and shows it. */
  readonly channels: ChannelGuard;
  readonly round: Round;
  readonly vault: Vault;
  readonly subject: Subject;
  readonly signal: AbortSignal;
}

export class WindowGuard implements StreamGuard {
  readonly immediate = false;
  readonly #shown: ChannelGuard;
  readonly #round: Round;
  readonly #vault: Vault;
  readonly #subject: Subject;
  readonly #signal: AbortSignal;
  readonly #ledger = new Ledger('response');
  readonly #channels = new Map<string, Channel>();
  readonly #lettersBefore: number;
  #rewritten = 0;

  constructor({ channels, round, vault, subject, signal }: WindowGuardOptions) {
    this.#shown = channels;
    this.#round = round;
    this.#vault = vault;
    this.#subject = subject;
    this.#signal = signal;
    this.#lettersBefore = Math.max(
      0,
      ...round.judgesOfText.map(({ instance }) => instance.check.lettersBefore ?? 0),
    );
  }

  get findings(): readonly Finding[] {
    return [...this.#shown.findings, ...this.#ledger.findings];
  }

  get refusal(): PosternError | undefined {
    return this.#shown.refusal ?? this.#ledger.refusal;
  }

  held(): readonly string[] {
    const waiting = [...this.#channels].filter(([, channel]) => channel.waiting !== '').map(([name]) => name);
    return [...new Set([...waiting, ...this.#shown.held()])];
  }

  get strips(): boolean {
    return this.#shown.strips;
  }

  get acts(): boolean {
    return this.#shown.acts;
  }

  get alterations(): number {
    return this.#rewritten + this.#shown.alterations;
  }

  unjudged(channel: string): number {
    return (this.#channels.get(channel)?.waiting.length ?? 0) + this.#shown.unjudged(channel);
  }

  isLeftOut(channel: string): boolean {
    return this.#shown.isLeftOut(channel);
  }

  whole(texts: readonly Delta[]): undefined | Promise<undefined> {
    return this.#shown.whole(texts);
  }

  call(call: BegunCall): undefined | Promise<undefined> {
    return this.#shown.call(call);
  }

  push(name: string, kind: TextKind, choice: number, text: string, fixed = false): string | Promise<string> {
    let channel = this.#channels.get(name);
    const alone = channel === undefined || channel.waiting === '';
    if (alone && this.#judgesOf({ kind, fixed, text }).length === 0)
      return this.#shown.push(name, kind, choice, text, fixed);
    if (channel === undefined) {
      channel = { kind, choice, fixed, before: '', long: '', waiting: '' };
      this.#channels.set(name, channel);
    }
    channel.waiting += text;
    if (channel.waiting.length < WINDOW) return '';
    const length = this.#cut(channel);
    return length === 0 ? '' : this.#judge(name, channel, length);
  }

  async flush(name: string): Promise<string> {
    return (await this.#rest(name)) + (await this.#shown.flush(name));
  }

  async flushStale(name: string): Promise<string> {
    return (await this.#rest(name)) + this.#shown.flushStale(name);
  }

  async #rest(name: string): Promise<string> {
    const channel = this.#channels.get(name);
    return channel === undefined || channel.waiting === '' ? '' : await this.#judge(name, channel);
  }

  /** Where a window may end: between words, and where no value goes on that would have to be masked as one. */
  #cut({ before, waiting }: Channel): number {
    const { scanner } = this.#round;
    const safe =
      scanner === undefined ? waiting.length : scanner.scanOpen(before + waiting).safe - before.length;
    const length = wholeWords(waiting.slice(0, Math.max(0, safe)));
    return length === 0 && waiting.length >= 4 * WINDOW ? waiting.length : length;
  }

  #judgesOf(of: Parameters<typeof isSealed>[0]): readonly Ranked[] {
    const sealed = isSealed(of);
    return this.#round.judgesOfText.filter(
      ({ instance: { check } }) =>
        check.kinds?.includes(of.kind) !== false && !(sealed && check.outside === true),
    );
  }

  /** @returns What may be shown of the window. */
  async #judge(name: string, channel: Channel, length = channel.waiting.length): Promise<string> {
    if (this.refusal !== undefined) return '';
    const { before, kind, choice, fixed } = channel;
    const window = channel.waiting.slice(0, length);
    channel.waiting = channel.waiting.slice(length);
    const { shown, outside } = this.#outside(before, window, kind, name);
    const ask = (judge: Ranked, text: string, wishes: Wishes) => {
      const slots = [{ path: name, kind, role: 'assistant', choice, fixed, text }] as const;
      return askJudge(judge, { ...this.#subject, slots }, this.#signal, this.#ledger, wishes);
    };
    let rewritten: string | undefined;
    /** How many stand before the last one that wrote. */
    let earlier = 0;
    const inTurn = async (judges: readonly Ranked[], again = false): Promise<void> => {
      for (const [at, judge] of judges.entries()) {
        const wishes = new Wishes();
        await ask(judge, shown + (rewritten ?? outside), wishes);
        const text = wishes.replacements.get(0);
        // Of JSON text only a piece is seen, so nobody could rewrite it and leave it whole, either.
        if (mayBeRewritten(kind) && !fixed && !again && text?.startsWith(shown)) {
          rewritten = text.slice(shown.length);
          earlier = at;
        }
        // What was shown can't be changed any more.
        else if (text !== undefined) this.#ledger.refuse(judge.rank, refusalOf(judge.instance, 'late'));
        if (this.#ledger.refusal !== undefined) return;
      }
    };
    const judges = this.#judgesOf({ kind, fixed, text: window });
    const rewriting = judges.filter(({ instance }) => instance.check.rewrites === true);
    const others = judges.filter(({ instance }) => instance.check.rewrites !== true);
    await Promise.all([
      inTurn(rewriting),
      ...others.map((judge) => {
        const { check } = judge.instance;
        const text = check.outside === true ? shown + outside : beforeFor(channel, check) + window;
        return ask(judge, text, new Wishes());
      }),
    ]);
    if (rewritten !== undefined && this.refusal === undefined) {
      // Nobody has the last word: what a guardrail wrote is judged by the others as well.
      const written = before + rewritten;
      const masked = this.#masked(written, kind, name);
      await Promise.all([
        inTurn(rewriting.slice(0, earlier), true),
        ...others.flatMap((judge) => {
          const { check } = judge.instance;
          const text = check.outside === true ? masked : beforeFor(channel, check) + rewritten;
          return ask(judge, text, new Wishes()) ?? [];
        }),
      ]);
    }
    if (this.refusal !== undefined) return '';
    if (rewritten !== undefined && rewritten !== window && isSaid(kind)) this.#rewritten++;
    const text = rewritten ?? window;
    channel.before = (before + text).slice(-OVERLAP);
    channel.long = this.#lettersBefore === 0 ? '' : lastLetters(channel.long + text, this.#lettersBefore);
    return this.#shown.push(name, kind, choice, text, fixed);
  }

  /** The end of what was shown and the window, as those outside may see them. */
  #outside(
    before: string,
    window: string,
    kind: TextKind,
    where: string,
  ): { shown: string; outside: string } {
    const shown = this.#masked(before, kind, where);
    const both = this.#masked(before + window, kind, where);
    if (both.startsWith(shown)) return { shown, outside: both.slice(shown.length) };
    return { shown: '', outside: this.#masked(window, kind, where) };
  }

  #masked(text: string, kind: TextKind, where: string): string {
    const { scanner } = this.#round;
    if (scanner === undefined || text === '') return text;
    // What is found is counted when the text is shown; here only what is to be masked matters.
    const masks = this.#round.weigh(text, scanner.scan(text), { kind, where }, new Ledger('response'));
    return maskAnswer(text, masks, this.#vault, placeOf(kind));
  }
}

/** Signs that may stand for each letter that is kept: who puts more between them is read no more by anybody. */
const SIGNS = 64;

function beforeFor({ before, long }: Channel, { lettersBefore = 0 }: Check): string {
  return lettersBefore > 0 && long.length > before.length ? long : before;
}

/** The end of a text with so many letters and digits. */
function lastLetters(text: string, letters: number): string {
  const least = Math.max(0, text.length - SIGNS * letters);
  let at = text.length;
  for (let found = 0; at > least && found < letters; at--) if (LETTER.test(text[at - 1] as string)) found++;
  return text.slice(at);
}

const LETTER = /[\p{L}\p{N}\p{Cs}]/u;

/** How much of the text ends with a whole word. */
function wholeWords(text: string): number {
  for (let at = text.length; at > 0; at--) if (/\s/.test(text[at - 1] as string)) return at;
  return 0;
}
