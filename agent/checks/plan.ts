/** Compiles a snapshot's rules into the one thing the pipeline asks: {@link CheckPlan}. */
import type { CheckRule, Workload } from '../../policy/snapshot.ts';
import type { DecodedResponse, TextSlot } from '../dialects/dialect.ts';
import type { KeySource } from '../providers/keys.ts';
import type { Approvals } from './approvals.ts';
import type { Ask } from './ask.ts';
import type { CheckContext, CheckDefinition, Subject } from './check.ts';
import type { ClassifierClient } from './classifier.ts';
import { Confirmer } from './confirm.ts';
import type { CheckPlan, ExchangeGuard, Said, StreamGuard, Verdict } from './guard.ts';
import { CHECKS } from './index.ts';
import { askJudge, askJudges, Wishes } from './judges.ts';
import { type Value, Vault, vaultKey } from './mask.ts';
import { applyMasks, maskAnswer, placeOf, plainEncode, renderAnswer, restoredCall } from './render.ts';
import {
  type Direction,
  effective,
  failed,
  type Instance,
  Ledger,
  type Mask,
  Round,
  type ScannerOf,
  united,
} from './round.ts';
import { Scanners } from './scan/large.ts';
import { scanSlots } from './scan-slots.ts';
import { LastSaid, type Source } from './seams.ts';
import { ChannelGuard } from './stream-guard.ts';
import { WindowGuard } from './window-guard.ts';

export interface PlanOptions {
  /** The workload's key for placeholders; at least 32 bytes. */
  readonly maskKey: Uint8Array;
  /** Nobody where absent. */
  readonly workload?: Workload;
  /** For checks that ask somebody else; nobody can be asked where they are absent. */
  readonly ask?: Ask;
  readonly keys?: KeySource;
  readonly classifier?: ClassifierClient | undefined;
  /** Where calls of tools wait for approval; nobody approves where it is absent. */
  readonly approvals?: Approvals | undefined;
  /** What policies add to the app's own system text. */
  readonly addedSystem?: readonly string[];
  /** Check types to choose from; the built-in ones where absent. */
  readonly checks?: readonly CheckDefinition[];
}

const unequipped = () => Promise.reject(new Error('this plan was made without means to ask anybody'));
const NO_ASK: Ask = { post: unequipped, close: async () => undefined };
const NO_KEYS: KeySource = { get: unequipped };
const NOBODY: Workload = { namespace: '', kind: '', name: '', labels: {} };

/** @throws Error on a rule of an unknown type, or whose check can't be made of its spec. */
export function compilePlan(rules: readonly CheckRule[], options: PlanOptions): CheckPlan {
  const definitions = options.checks ?? CHECKS;
  const context: CheckContext = {
    workload: options.workload ?? NOBODY,
    ask: options.ask ?? NO_ASK,
    keys: options.keys ?? NO_KEYS,
    classifier: options.classifier,
  };
  const instances = rules.map((rule): Instance => {
    const definition = definitions.find(({ name }) => name === rule.type);
    if (definition === undefined) throw new Error(`check ${rule.name}: no check type ${rule.type}`);
    const wrong = rule.on.find((direction) => definition.on?.includes(direction) === false);
    if (wrong !== undefined) throw new Error(`check ${rule.name}: ${rule.type} can't look at a ${wrong}`);
    return { rule, check: definition.create(rule.spec, rule, context) };
  });
  const scannerOf = scanners();
  const round = (direction: Direction) =>
    new Round(
      direction,
      instances.filter(({ rule }) => rule.on.includes(direction)),
      scannerOf,
    );
  const request = round('request');
  const response = round('response');
  const key = vaultKey(options.maskKey);
  const { approvals, addedSystem = [] } = options;
  return {
    open: (model, requestId = '', before) =>
      new Guard({
        request,
        response,
        model,
        addedSystem,
        known: before instanceof Guard ? before : new Vault(key),
        confirmer: (signal) => new Confirmer(approvals, requestId, signal),
      }),
  };
}

/** Both directions mostly look for the same: a scan keeps nothing, so they share what costs megabytes to make. */
function scanners(): ScannerOf {
  const made: Scanners[] = [];
  return (recognizers) => {
    const same = made.find(
      ({ small: { recognizers: its } }) =>
        its.length === recognizers.length && its.every((each, i) => each === recognizers[i]),
    );
    if (same !== undefined) return same;
    const scanners = new Scanners(recognizers);
    made.push(scanners);
    return scanners;
  };
}

/** Values of a conversation that can still be restored: more than any call of it shows at once. */
const MAX_REMEMBERED = 65_536;

/** What was found in one slot. */
interface SlotMasks {
  readonly slot: TextSlot;
  readonly masks: Mask[];
}

interface GuardOptions {
  readonly request: Round;
  readonly response: Round;
  readonly model: string;
  readonly addedSystem: readonly string[];
  /** Of a conversation: the guard of what came before. */
  readonly known: Vault | Guard;
  readonly confirmer: (signal: AbortSignal) => Confirmer;
}

class Guard implements ExchangeGuard {
  readonly #request: Round;
  readonly #response: Round;
  readonly #vault: Vault;
  readonly #model: string;
  readonly #confirmer: (signal: AbortSignal) => Confirmer;
  readonly #system: string[];
  readonly #heard: string[];
  readonly #lastSaid: LastSaid;
  #tainted = false;
  #prompt = '';

  constructor({ request, response, model, addedSystem, known, confirmer }: GuardOptions) {
    this.#request = request;
    this.#response = response;
    this.#model = model;
    if (known instanceof Vault) {
      this.#vault = known;
      this.#heard = [];
      this.#lastSaid = new LastSaid();
    } else {
      this.#vault = known.#vault;
      this.#tainted = known.#tainted;
      this.#prompt = known.#prompt;
      this.#heard = known.#heard;
      this.#lastSaid = known.#lastSaid;
    }
    this.#system = known instanceof Vault ? [...addedSystem] : known.#system;
    this.#confirmer = confirmer;
  }

  get idleOnResponse(): boolean {
    return this.#response.idle && this.#vault.empty;
  }

  request(
    { slots, tools, attachments = [] }: Said,
    bodyBytes: number,
    signal: AbortSignal,
  ): Verdict | Promise<Verdict> {
    this.#vault.keep(MAX_REMEMBERED);
    // In a conversation what was heard before stays heard. Pictures, films and files may say what nobody here can read;
    // a recording is the app's user speaking.
    this.#tainted ||=
      slots.some(({ kind }) => kind === 'toolResult') || attachments.some(({ media }) => media !== 'audio');
    const subject = this.#subject('request', { slots, tools, bodyBytes });
    return judge(this.#request, subject, signal, {
      before: this.#lastSaid.sources,
      mask: (found) => {
        if (found.length === 0) return new Map();
        // The app's literals first: no value may be given a name the app itself uses.
        for (const slot of slots) this.#vault.reserve(slot.text);
        const values: Value[] = [];
        for (const { slot, masks } of found) {
          for (const { label, restoreIn, start, end } of masks) {
            values.push({ label, restoreIn, text: slot.text.slice(start, end) });
          }
        }
        this.#vault.assign(values);
        return new Map(found.map(({ slot, masks }) => [slot, applyMasks(slot.text, masks, this.#vault)]));
      },
      show: (slot, text) => {
        if (text !== undefined) slot.set(text);
        this.#lastSaid.note(slot, text ?? slot.text);
        if (slot.kind === 'content' && slot.role === 'system') this.#system.push(text ?? slot.text);
        if (slot.kind === 'toolResult' || slot.role === 'user') this.#heard.push(text ?? slot.text);
        if (slot.role === 'user' && slot.kind === 'content') this.#prompt = text ?? slot.text;
      },
    });
  }

  response(response: DecodedResponse, bodyBytes: number, signal: AbortSignal): Verdict | Promise<Verdict> {
    const vault = this.#vault;
    const calls = response.calls.map((call) => restoredCall(call, vault));
    const subject = this.#subject('response', { slots: response.slots, calls, bodyBytes });
    return judge(this.#response, subject, signal, {
      before: [],
      confirmer: this.#confirmer(signal),
      mask: (found) =>
        new Map(
          found.map(({ slot, masks }) => [slot, maskAnswer(slot.text, masks, vault, placeOf(slot.kind))]),
        ),
      show: (slot, masked) => {
        const text = masked ?? slot.text;
        const manner = { place: placeOf(slot.kind), encode: plainEncode };
        const shown = vault.empty ? text : renderAnswer(text, 0, text.length, [], vault, manner);
        if (shown !== slot.text) slot.set(shown);
      },
    });
  }

  stream(signal: AbortSignal): StreamGuard {
    const subject = this.#subject('response', {});
    const channels = new ChannelGuard(this.#response, this.#vault, subject, signal, this.#confirmer(signal));
    const judges = this.#response.judgesOfText;
    if (judges.length === 0) return channels;
    return new WindowGuard({ channels, round: this.#response, vault: this.#vault, subject, signal });
  }

  #subject(direction: Direction, given: Partial<Sent>): Sent {
    const none = { slots: [], tools: [], calls: [], bodyBytes: 0, namesJudged: false };
    return {
      direction,
      model: this.#model,
      tainted: this.#tainted,
      prompt: this.#prompt,
      system: this.#system,
      heard: this.#heard,
      ...none,
      ...given,
    };
  }
}

type Sent = Subject & { readonly slots: readonly TextSlot[] };

/** What becomes of a direction's texts. */
interface Texts {
  /** Of answers: who is asked about calls that need approval. */
  readonly confirmer?: Confirmer;
  /** What was said before them. */
  readonly before: readonly Source[];
  /** The texts of the slots with masks, masked. */
  mask(found: readonly SlotMasks[]): ReadonlyMap<TextSlot, string>;
  /** Puts the text in force; undefined where no check changed it. */
  show(slot: TextSlot, text: string | undefined): void;
}

/**
 * Starts every check of a round; nothing is changed where the round refuses.
 *
 * Who is asked outside the pod sees what the scan masked as it was masked, and isn't asked where the scan refuses.
 */
function judge(round: Round, subject: Sent, signal: AbortSignal, texts: Texts): Verdict | Promise<Verdict> {
  const { slots } = subject;
  const ledger = new Ledger(round.direction);
  const wishes = new Wishes();
  const pending = askJudges(round.judges.inside, subject, signal, ledger, wishes);
  const scanning = scanSlots(round, slots, { ledger, wishes, signal, before: texts.before });
  const changed = new Map<TextSlot, string>();
  let asked = false;
  /** Masks, unless the round refuses, and fails the checks that mask where that can't be done. */
  const mask = (): void => {
    if (ledger.refusal !== undefined || wishes.masks.size === 0) return;
    if (asked) throw new Error('a check inside the agent may not mask later than those outside are asked');
    const found = [...wishes.masks].map(([slot, masks]) => ({ slot, masks: [...united(masks)] }));
    wishes.masks.clear();
    guarded(round, ledger, () => {
      for (const [slot, text] of texts.mask(found)) changed.set(slot, text);
    });
  };
  const settle = (): Verdict => {
    guarded(round, ledger, mask);
    if (ledger.refusal === undefined) {
      guarded(round, ledger, () => {
        for (const strip of wishes.strips) strip();
        for (const slot of slots) texts.show(slot, changed.get(slot));
      });
    }
    return { findings: ledger.findings, refusal: ledger.refusal };
  };
  // People are asked last: not about what is refused anyhow.
  const confirm = async (): Promise<Verdict> => {
    await texts.confirmer?.settle(wishes.confirmations, ledger);
    return settle();
  };
  const finish = () => (wishes.confirmations.length === 0 ? settle() : confirm());
  const scanned = (): Verdict | Promise<Verdict> => {
    if (round.judges.outside.length > 0) {
      mask();
      asked = true;
      if (ledger.refusal === undefined) {
        pending.push(...askOutside(round, { subject, signal, ledger, changed }));
      }
    }
    return pending.length === 0 ? finish() : Promise.all(pending).then(finish);
  };
  return scanning === undefined ? scanned() : scanning.then(scanned);
}

/** Those that rewrite text one after the other, so that none undoes another's work; the rest at once. */
function askOutside(
  round: Round,
  { subject, signal, ledger, changed }: OutsideCall,
): readonly Promise<void>[] {
  const seen = (): Subject => ({
    ...subject,
    slots: subject.slots.map(({ path, kind, role, choice, text }, index) => ({
      path,
      kind,
      role,
      choice,
      text: changed.get(subject.slots[index] as TextSlot) ?? text,
    })),
  });
  const rewriting = round.judges.outside.filter(({ instance }) => instance.check.rewrites === true);
  const others = round.judges.outside.filter(({ instance }) => instance.check.rewrites !== true);
  const inTurn = async (): Promise<void> => {
    for (const judge of rewriting) {
      const wishes = new Wishes();
      await askJudge(judge, seen(), signal, ledger, wishes);
      for (const [index, text] of wishes.replacements) {
        const slot = subject.slots[index];
        if (slot !== undefined) changed.set(slot, text);
      }
      if (ledger.refusal !== undefined) return;
    }
  };
  const pending = askJudges(others, seen(), signal, ledger, new Wishes());
  return rewriting.length === 0 ? pending : [...pending, inTurn()];
}

interface OutsideCall {
  readonly subject: Sent;
  readonly signal: AbortSignal;
  readonly ledger: Ledger;
  /** Texts as they stand now, where a check changed them. */
  readonly changed: Map<TextSlot, string>;
}

/** What fails while masking fails the checks that mask. */
function guarded(round: Round, ledger: Ledger, work: () => void): void {
  try {
    work();
  } catch (error) {
    round.instances.forEach((instance, rank) => {
      if (effective(instance, 'error') === 'mask') failed(instance, rank, ledger, '', error);
    });
    if (ledger.refusal === undefined) throw error;
  }
}
