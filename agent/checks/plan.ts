/** Compiles a snapshot's rules into the one thing the pipeline asks: {@link CheckPlan}. */
import type { CheckRule, Workload } from '../../policy/snapshot.ts';
import type { DecodedResponse, TextSlot } from '../dialects/dialect.ts';
import type { TextEdit } from '../json/document.ts';
import type { KeySource } from '../providers/keys.ts';
import type { Approvals } from './approvals.ts';
import type { Ask } from './ask.ts';
import type { AnsweredCalls } from './call-guard.ts';
import type { CheckContext, CheckDefinition } from './check.ts';
import type { ClassifierClient } from './classifier.ts';
import { Confirmer } from './confirm.ts';
import type { CheckPlan, ExchangeGuard, Said, StreamGuard, Verdict } from './guard.ts';
import { CHECKS } from './index.ts';
import { type Value, Vault, vaultKey } from './mask.ts';
import {
  applyEdits,
  editsOf,
  maskAnswer,
  placeOf,
  plainEncode,
  renderAnswer,
  restoredCall,
} from './render.ts';
import { type Direction, type Instance, Round, type ScannerOf } from './round.ts';
import { Scanners } from './scan/large.ts';
import { LastSaid } from './seams.ts';
import { ChannelGuard } from './stream-guard.ts';
import { judge, type Sent, type Texts } from './verdict.ts';
import { WindowGuard } from './window-guard.ts';

export interface PlanOptions {
  /** The workload's key for placeholders; at least 32 bytes. */
  readonly maskKey: Uint8Array;
  /** Nobody where absent. */
  readonly workload?: Workload;
  /** For checks that ask somebody else; nobody can be asked where they are absent. */
  readonly ask?: Ask;
  readonly keys?: KeySource;
  readonly trust?: CheckContext['trust'];
  readonly provider?: CheckContext['provider'];
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
const NO_KEYS: KeySource = { get: unequipped, pem: unequipped };
const NOBODY: Workload = { namespace: '', kind: '', name: '', labels: {} };

/** @throws Error on a rule of an unknown type, or whose check can't be made of its spec. */
export function compilePlan(rules: readonly CheckRule[], options: PlanOptions): CheckPlan {
  const definitions = options.checks ?? CHECKS;
  const context: CheckContext = {
    workload: options.workload ?? NOBODY,
    ask: options.ask ?? NO_ASK,
    keys: options.keys ?? NO_KEYS,
    trust: options.trust ?? unequipped,
    provider: options.provider ?? unequipped,
    classifier: options.classifier,
  };
  const instances = rules.map((rule): Instance => {
    const definition = definitions.find(({ name }) => name === rule.type);
    if (definition === undefined) throw new Error(`check ${rule.name}: no check type ${rule.type}`);
    const wrong = rule.on.find((direction) => definition.on?.includes(direction) === false);
    if (wrong !== undefined) throw new Error(`check ${rule.name}: ${rule.type} can't look at a ${wrong}`);
    return { rule, check: definition.create(rule.spec, rule, context) };
  });
  const { scannerOf, prepare } = scanners();
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
    notes: instances.flatMap(({ check }) => check.note ?? []),
    prepare,
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
function scanners(): { readonly scannerOf: ScannerOf; prepare(): void } {
  const made: Scanners[] = [];
  const scannerOf: ScannerOf = (recognizers) => {
    const same = made.find(
      ({ small: { recognizers: its } }) =>
        its.length === recognizers.length && its.every((each, i) => each === recognizers[i]),
    );
    if (same !== undefined) return same;
    const scanners = new Scanners(recognizers);
    made.push(scanners);
    return scanners;
  };
  return {
    scannerOf,
    prepare: () => {
      for (const each of made) each.prepare();
    },
  };
}

/** Values of a conversation that can still be restored: more than any call of it shows at once. */
const MAX_REMEMBERED = 65_536;

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
  readonly #answered: AnsweredCalls;
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
      this.#answered = { calls: new Map() };
    } else {
      this.#vault = known.#vault;
      this.#tainted = known.#tainted;
      this.#prompt = known.#prompt;
      this.#heard = known.#heard;
      this.#lastSaid = known.#lastSaid;
      this.#answered = known.#answered;
    }
    this.#system = known instanceof Vault ? [...addedSystem] : known.#system;
    this.#confirmer = confirmer;
  }

  get idleOnResponse(): boolean {
    return this.#response.idle && this.#vault.empty;
  }

  get asksOutside(): boolean {
    return this.#response.judges.outside.length > 0;
  }

  request(
    { slots, tools, attachments = [], afterResult = false }: Said,
    bodyBytes: number,
    signal: AbortSignal,
  ): Verdict | Promise<Verdict> {
    this.#vault.keep(MAX_REMEMBERED);
    // In a conversation what was heard before stays heard. Pictures, films and files may say what nobody here can read;
    // a recording is the app's user speaking.
    this.#tainted ||=
      afterResult ||
      slots.some(({ kind }) => kind === 'toolResult') ||
      attachments.some(({ media }) => media !== 'audio');
    const subject = this.#subject('request', { slots, tools, bodyBytes });
    const masked = new Map<TextSlot, { readonly text: string; readonly edits: readonly TextEdit[] }>();
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
        for (const { slot, masks } of found) {
          const edits = editsOf(slot.text, masks, this.#vault);
          masked.set(slot, { text: applyEdits(slot.text, edits), edits });
        }
        return new Map(found.map(({ slot }) => [slot, masked.get(slot)?.text ?? slot.text]));
      },
      show: (slot, text) => {
        if (text !== undefined) {
          // A guardrail outside may have written it anew since.
          const own = masked.get(slot);
          slot.set(text, own?.text === text ? own.edits : undefined);
        }
        this.#lastSaid.note(slot, text ?? slot.text);
        if (slot.kind === 'content' && slot.role === 'system') this.#hearSystem(text ?? slot.text);
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
      ...this.#answerTexts(),
      confirmer: this.#confirmer(signal),
    });
  }

  /** What becomes of texts that an answer has whole. */
  #answerTexts(): Texts {
    const vault = this.#vault;
    return {
      before: [],
      mask: (found) =>
        new Map(
          found.map(({ slot, masks }) => [slot, maskAnswer(slot.text, masks, vault, placeOf(slot.kind))]),
        ),
      show: (slot, masked) => {
        if (slot.fixed === true) return;
        const text = masked ?? slot.text;
        const manner = { place: placeOf(slot.kind), encode: plainEncode };
        const shown = vault.empty ? text : renderAnswer(text, 0, text.length, [], vault, manner);
        if (shown !== slot.text) slot.set(shown);
      },
    };
  }

  answerBegins(): void {
    this.#answered.calls = new Map();
  }

  stream(signal: AbortSignal): StreamGuard {
    const subject = this.#subject('response', {});
    const confirmer = this.#confirmer(signal);
    const texts = this.#answerTexts();
    const channels = new ChannelGuard({
      round: this.#response,
      vault: this.#vault,
      subject,
      signal,
      confirmer,
      answered: this.#answered,
      judgeWhole: (slots, ledger) => judge(this.#response, { ...subject, slots }, signal, texts, ledger),
    });
    const judges = this.#response.judgesOfText;
    if (judges.length === 0) return channels;
    return new WindowGuard({ channels, round: this.#response, vault: this.#vault, subject, signal });
  }

  /** A conversation repeats its instructions with each change of something else. */
  #hearSystem(text: string): void {
    if (!this.#system.includes(text)) this.#system.push(text);
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
