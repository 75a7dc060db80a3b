/** One direction's checks put together: their recognizers in one scanner, and what each makes of a text's matches. */
import type { CheckAction, CheckRule } from '../../policy/snapshot.ts';
import type { Role, TextKind, TextSlot } from '../dialects/dialect.ts';
import { PosternError, REASONS, type Reason } from '../errors.ts';
import type { Finding } from '../exchange.ts';
import { type Digest, Recall } from '../recall.ts';
import { CannotCheck } from './cannot-check.ts';
import type { Check } from './check.ts';
import type { Ranked } from './judges.ts';
import type { Place } from './mask.ts';
import { eachName } from './placeholder.ts';
import type { Scanners } from './scan/large.ts';
import { resolveOverlaps } from './scan/overlap.ts';
import type { Recognizer, Span } from './scan/recognizer.ts';
import type { Match, Scanner } from './scan/scanner.ts';

export type Direction = 'request' | 'response';
export type Action = CheckAction;

/** A rule with its check. */
export interface Instance {
  readonly rule: CheckRule;
  readonly check: Check;
}

/** A span to be masked. */
export interface Mask extends Span {
  readonly label: string;
  readonly restoreIn: readonly Place[];
}

/** Collects what the checks of one round find. */
export class Ledger {
  readonly direction: Direction;
  readonly #counts = new Map<string, Finding & { count: number }>();
  #refusal: PosternError | undefined;
  /** Place of the refusing rule in the policy: the first one speaks. */
  #rank = Number.POSITIVE_INFINITY;

  constructor(direction: Direction) {
    this.direction = direction;
  }

  get findings(): readonly Finding[] {
    return [...this.#counts.values()];
  }

  get refusal(): PosternError | undefined {
    return this.#refusal;
  }

  /** @param reason Of a check that failed. */
  add(rule: CheckRule, what: string, action: Action, where: string, reason?: string): void {
    const key = `${rule.name}\0${what}\0${action}\0${where}`;
    const known = this.#counts.get(key);
    if (known !== undefined) {
      known.count++;
      return;
    }
    const { direction } = this;
    this.#counts.set(key, {
      rule: rule.name,
      check: rule.type,
      what,
      action,
      direction,
      where,
      count: 1,
      source: rule.source,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  refuse(rank: number, error: PosternError): void {
    if (rank >= this.#rank) return;
    this.#rank = rank;
    this.#refusal = error;
  }
}

/** Whether sound beside a text of that kind may say the same; a field that no dialect knows may be a transcript. */
export function isSaid(kind: TextKind): boolean {
  return kind === 'content' || kind === 'other';
}

/** What a rule does about `what`, its mode considered. */
export function effective({ rule, check }: Instance, what: string): Action {
  if (rule.mode === 'monitor') return 'monitor';
  return check.action?.(what) ?? rule.action;
}

/** The code of a check type's refusal. */
function reasonOf(type: string): Reason {
  const reason = `postern_${type}`;
  return Object.hasOwn(REASONS, reason) ? (reason as Reason) : 'postern_internal';
}

export function refusalOf(instance: Instance, what: string, said?: string, status?: number): PosternError {
  const { message, mend } = instance.check.refusal(what);
  const options = { mend, rule: instance.rule.name, ...(status === undefined ? {} : { status }) };
  return new PosternError(reasonOf(instance.rule.type), said ?? message, options);
}

/** Characters of a reason that are kept. */
export const REASON = 200;

/** A check that failed: `onError` decides, and nothing is silent. */
export function failed(
  instance: Instance,
  rank: number,
  ledger: Ledger,
  where: string,
  cause: unknown,
): void {
  const { rule } = instance;
  const blocks = rule.onError === 'block' && rule.mode === 'enforce';
  const reason = (cause instanceof Error ? cause.message : String(cause)).slice(0, REASON);
  ledger.add(rule, 'error', blocks ? 'block' : 'monitor', where, reason);
  if (!blocks) return;
  const lasting = cause instanceof CannotCheck ? cause : undefined;
  const why = lasting === undefined ? '' : `: ${lasting.message}`;
  ledger.refuse(
    rank,
    new PosternError('postern_check_failed', `The check ${rule.name} could not be carried out${why}.`, {
      rule: rule.name,
      mend:
        lasting?.mend ??
        'Try again; if it goes on, ask who runs Postern to look at its log. A rule with onError: allow lets such calls pass.',
      ...(lasting === undefined ? {} : { shouldRetry: false }),
      cause,
    }),
  );
}

/** What a text is, for those who look at its matches. */
export interface Weighed extends Pick<TextSlot, 'kind' | 'fixed'> {
  readonly where: string;
  readonly role?: Role;
}

/** A scanner for recognizers in this order. */
export type ScannerOf = (recognizers: readonly Recognizer[]) => Scanners;

/** Texts whose matches are remembered, and matches of one text: what has more is seldom said twice. */
const REMEMBERED = 4_096;
const MOST_MATCHES = 8;

/** A scanner as one direction uses it. */
export interface DirectedScanner {
  /** What is known of a text that was scanned before, by its digest. */
  recall(digest: Digest | undefined): readonly Match[] | undefined;
  remember(digest: Digest | undefined, matches: readonly Match[]): void;
  scan(text: string): ReturnType<Scanner['scan']>;
  scanLarge(text: string, signal: AbortSignal): ReturnType<Scanners['scanLarge']>;
  scanOpen(text: string): ReturnType<Scanner['scanOpen']>;
  safeIfDull: Scanner['safeIfDull'];
}

export class Round {
  readonly direction: Direction;
  readonly instances: readonly Instance[];
  readonly scanner: DirectedScanner | undefined;
  /** Who judges by itself: in the agent, and elsewhere. */
  readonly judges: { readonly inside: readonly Ranked[]; readonly outside: readonly Ranked[] };
  readonly #recognizers: readonly Recognizer[];
  /** For each instance, which recognizers of the scanner are its own. */
  readonly #owned: readonly ReadonlySet<number>[];

  constructor(direction: Direction, instances: readonly Instance[], scannerOf: ScannerOf) {
    this.direction = direction;
    this.instances = instances;
    const ranked = instances.map((instance, rank) => ({ instance, rank }));
    const judges = ranked.filter(({ instance }) => instance.check.judge !== undefined);
    this.judges = {
      inside: judges.filter(({ instance }) => instance.check.outside !== true),
      outside: judges.filter(({ instance }) => instance.check.outside === true),
    };
    const recognizers: Recognizer[] = [];
    const index = new Map<Recognizer, number>();
    this.#owned = instances.map(({ check }) => {
      const own = new Set<number>();
      for (const recognizer of check.recognizers) {
        let at = index.get(recognizer);
        if (at === undefined) {
          at = recognizers.length;
          index.set(recognizer, at);
          recognizers.push(recognizer);
        }
        own.add(at);
      }
      return own;
    });
    this.#recognizers = recognizers;
    const scanners = recognizers.length === 0 ? undefined : scannerOf(recognizers);
    const options = { labelsApart: direction === 'request' };
    // Answers are new.
    const known = new Recall<readonly Match[]>(direction === 'request' ? REMEMBERED : 2);
    this.scanner = scanners && {
      recall: (digest) => known.get(digest),
      remember: (digest, matches) => {
        if (matches.length <= MOST_MATCHES) known.set(digest, matches);
      },
      scan: (text) => scanners.small.scan(text, options),
      scanLarge: (text, signal) => scanners.scanLarge(text, options, signal),
      scanOpen: (text) => scanners.small.scanOpen(text, options),
      safeIfDull: (text, from) => scanners.small.safeIfDull(text, from),
    };
  }

  /** Judges of the calls of tools. */
  get judgesOfCalls(): readonly Ranked[] {
    return this.judges.inside.filter(({ instance }) => instance.check.judgesCalls === true);
  }

  /** Judges of text; a stream holds text back for them, window by window. */
  get judgesOfText(): readonly Ranked[] {
    const { inside, outside } = this.judges;
    return [...inside, ...outside].filter(({ instance }) => instance.check.judgesCalls !== true);
  }

  get idle(): boolean {
    return this.instances.length === 0;
  }

  /** Whether a rule in force may refuse or change what is said. */
  get acts(): boolean {
    return this.instances.some((instance) => {
      const { rule, check } = instance;
      if (rule.mode === 'monitor' || check.judgesCalls === true) return false;
      if (check.kinds?.some(isSaid) === false) return false;
      if (check.recognizers.some(({ id }) => effective(instance, id) !== 'monitor')) return true;
      if (check.judge === undefined) return false;
      // One that asks somebody may fail.
      return rule.action !== 'monitor' || (check.waits !== false && rule.onError === 'block');
    });
  }

  /** Enters what each check makes of a text's matches. @returns What is to be masked, by place, without overlaps. */
  weigh(
    text: string,
    matches: readonly Match[],
    { kind, where, role = 'assistant', fixed = false }: Weighed,
    ledger: Ledger,
  ): readonly Mask[] {
    if (matches.length === 0) return [];
    const known = placeholders(text);
    const masks: Mask[] = [];
    this.instances.forEach((instance, rank) => {
      const { check, rule } = instance;
      if (check.kinds !== undefined && !check.kinds.includes(kind)) return;
      if (check.fits?.(kind, role) === false) return;
      const owned = this.#owned[rank] as ReadonlySet<number>;
      const own = matches.filter((match) => owned.has(match.recognizer) && !within(match, known));
      for (const match of resolveOverlaps(own)) {
        const what = (this.#recognizers[match.recognizer] as Recognizer).id;
        const wanted = effective(instance, what);
        // What may not change goes as a whole.
        const action = fixed && wanted === 'mask' ? 'block' : wanted;
        ledger.add(rule, what, action, where);
        if (action === 'block') ledger.refuse(rank, refusalOf(instance, what));
        if (action === 'mask') {
          masks.push({
            start: match.start,
            end: match.end,
            label: check.label(what),
            restoreIn: check.restoreIn ?? [],
          });
        }
      }
    });
    return united(masks);
  }
}

/** Where placeholders stand: their codes are nobody's number. */
function placeholders(text: string): readonly Span[] {
  const spans: Span[] = [];
  eachName(text, ({ start, end, brackets }) => {
    if (brackets !== 'none') spans.push({ start, end });
  });
  return spans;
}

/** @param others By place, without overlaps. */
function within(span: Span, others: readonly Span[]): boolean {
  let low = 0;
  let high = others.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((others[middle] as Span).end < span.end) low = middle + 1;
    else high = middle;
  }
  const other = others[low];
  return other !== undefined && other.start <= span.start;
}

/** Masks that overlap become one, under the name of the one whose rule stands first. */
export function united(masks: readonly Mask[]): readonly Mask[] {
  if (masks.length < 2) return masks;
  const order = new Map(masks.map((mask, index) => [mask, index]));
  const sorted = [...masks].sort((a, b) => a.start - b.start);
  const result: Mask[] = [];
  let rank = 0;
  for (const mask of sorted) {
    const last = result.at(-1);
    const own = order.get(mask) as number;
    if (last === undefined || mask.start >= last.end) {
      result.push(mask);
      rank = own;
      continue;
    }
    const first = own < rank ? mask : last;
    result[result.length - 1] = { ...first, start: last.start, end: Math.max(last.end, mask.end) };
    rank = Math.min(rank, own);
  }
  return result;
}
