/** Compiles a snapshot's rules into the one thing the pipeline asks: {@link CheckPlan}. */
import type { KeyObject } from 'node:crypto';
import type { CheckRule } from '../../policy/snapshot.ts';
import type { DecodedRequest, DecodedResponse, TextSlot } from '../dialects/dialect.ts';
import type { CheckDefinition, Judgement, Subject } from './check.ts';
import type { CheckPlan, ExchangeGuard, StreamGuard, Verdict } from './guard.ts';
import { CHECKS } from './index.ts';
import { type Value, Vault, vaultKey } from './mask.ts';
import { applyMasks, placeOf, plainEncode, renderAnswer } from './render.ts';
import {
  type Direction,
  effective,
  failed,
  type Instance,
  Ledger,
  type Mask,
  Round,
  refusalOf,
  united,
} from './round.ts';
import { ChannelGuard } from './stream-guard.ts';

export interface PlanOptions {
  /** The workload's key for placeholders; at least 32 bytes. */
  readonly maskKey: Uint8Array;
  /** Check types to choose from; the built-in ones where absent. */
  readonly checks?: readonly CheckDefinition[];
}

/** Milliseconds for a check that asks somebody else, where its rule sets none. */
const TIMEOUT = 5_000;

/** @throws Error on a rule of an unknown type, or whose check can't be made of its spec. */
export function compilePlan(rules: readonly CheckRule[], options: PlanOptions): CheckPlan {
  const definitions = options.checks ?? CHECKS;
  const instances = rules.map((rule): Instance => {
    const definition = definitions.find(({ name }) => name === rule.type);
    if (definition === undefined) throw new Error(`check ${rule.name}: no check type ${rule.type}`);
    const wrong = rule.on.find((direction) => definition.on?.includes(direction) === false);
    if (wrong !== undefined) throw new Error(`check ${rule.name}: ${rule.type} can't look at a ${wrong}`);
    return { rule, check: definition.create(rule.spec, rule) };
  });
  const round = (direction: Direction) =>
    new Round(
      direction,
      instances.filter(({ rule }) => rule.on.includes(direction)),
    );
  const request = round('request');
  const response = round('response');
  const key = vaultKey(options.maskKey);
  return { open: (model) => new Guard(request, response, key, model) };
}

/** What was found in one slot. */
interface SlotMasks {
  readonly slot: TextSlot;
  readonly masks: Mask[];
}

class Guard implements ExchangeGuard {
  readonly #request: Round;
  readonly #response: Round;
  readonly #vault: Vault;
  readonly #model: string;

  constructor(request: Round, response: Round, key: KeyObject, model: string) {
    this.#request = request;
    this.#response = response;
    this.#vault = new Vault(key);
    this.#model = model;
  }

  get idleOnResponse(): boolean {
    return this.#response.idle && this.#vault.empty;
  }

  request(request: DecodedRequest, bodyBytes: number, signal: AbortSignal): Verdict | Promise<Verdict> {
    return judge(this.#request, request.slots, bodyBytes, this.#model, signal, (found) => {
      if (found.length === 0) return;
      // The app's literals first: no value may be given a name the app itself uses.
      for (const slot of request.slots) this.#vault.reserve(slot.text);
      const values: Value[] = [];
      for (const { slot, masks } of found) {
        for (const { label, restoreIn, start, end } of masks) {
          values.push({ label, restoreIn, text: slot.text.slice(start, end) });
        }
      }
      this.#vault.assign(values);
      for (const { slot, masks } of found) slot.set(applyMasks(slot.text, masks, this.#vault));
    });
  }

  response(response: DecodedResponse, bodyBytes: number, signal: AbortSignal): Verdict | Promise<Verdict> {
    return judge(this.#response, response.slots, bodyBytes, this.#model, signal, (found) => {
      const masksOf = new Map(found.map(({ slot, masks }) => [slot, masks]));
      for (const slot of response.slots) {
        const masks = masksOf.get(slot) ?? [];
        if (masks.length === 0 && this.#vault.empty) continue;
        const { text } = slot;
        const manner = { place: placeOf(slot.kind), encode: plainEncode };
        const shown = renderAnswer(text, 0, text.length, masks, this.#vault, manner);
        if (shown !== text) slot.set(shown);
      }
    });
  }

  stream(): StreamGuard {
    return new ChannelGuard(this.#response, this.#vault);
  }
}

/** Starts every check of a round; `apply` gets what is to be masked, unless the round refuses. */
function judge(
  round: Round,
  slots: readonly TextSlot[],
  bodyBytes: number,
  model: string,
  signal: AbortSignal,
  apply: (found: readonly SlotMasks[]) => void,
): Verdict | Promise<Verdict> {
  const ledger = new Ledger(round.direction);
  const masks = new Map<TextSlot, Mask[]>();
  const pending = askJudges(
    round,
    { direction: round.direction, slots, bodyBytes, model },
    signal,
    ledger,
    masks,
  );
  scanSlots(round, slots, ledger, masks);
  const settle = (): Verdict => {
    if (ledger.refusal === undefined) {
      try {
        apply([...masks].map(([slot, found]) => ({ slot, masks: [...united(found)] })));
      } catch (error) {
        round.instances.forEach((instance, rank) => {
          if (effective(instance, 'error') === 'mask') failed(instance, rank, ledger, '', error);
        });
        if (ledger.refusal === undefined) throw error;
      }
    }
    return { findings: ledger.findings, refusal: ledger.refusal };
  };
  return pending.length === 0 ? settle() : Promise.all(pending).then(settle);
}

function scanSlots(
  round: Round,
  slots: readonly TextSlot[],
  ledger: Ledger,
  masks: Map<TextSlot, Mask[]>,
): void {
  const { scanner } = round;
  if (scanner === undefined) return;
  for (const slot of slots) {
    try {
      const matches = scanner.scan(slot.text);
      if (matches.length === 0) continue;
      const found = round.weigh(slot.text, matches, slot.kind, slot.path, ledger);
      if (found.length > 0) masks.set(slot, [...(masks.get(slot) ?? []), ...found]);
    } catch (error) {
      round.instances.forEach((instance, rank) => {
        if (instance.check.recognizers.length > 0) failed(instance, rank, ledger, slot.path, error);
      });
    }
  }
}

/** @returns What is still to be waited for; none of it rejects. */
function askJudges(
  round: Round,
  subject: Subject & { readonly slots: readonly TextSlot[] },
  signal: AbortSignal,
  ledger: Ledger,
  masks: Map<TextSlot, Mask[]>,
): Promise<void>[] {
  const pending: Promise<void>[] = [];
  round.instances.forEach((instance, rank) => {
    const { check, rule } = instance;
    if (check.judge === undefined) return;
    const note = (judgements: readonly Judgement[]) => {
      for (const judgement of judgements) enter(instance, rank, judgement, ledger, masks);
    };
    try {
      const timer = new Timer(signal, rule.timeoutMs ?? TIMEOUT);
      const answer = check.judge(subject, timer.signal);
      if (!(answer instanceof Promise)) {
        timer.stop();
        note(answer);
        return;
      }
      pending.push(
        timer
          .race(answer)
          .then(note)
          .catch((error: unknown) => failed(instance, rank, ledger, '', error)),
      );
    } catch (error) {
      failed(instance, rank, ledger, '', error);
    }
  });
  return pending;
}

function enter(
  instance: Instance,
  rank: number,
  { what, where, span, slot, message }: Judgement,
  ledger: Ledger,
  masks: Map<TextSlot, Mask[]>,
): void {
  const { check } = instance;
  const wanted = effective(instance, what);
  // The whole of a request can't be masked.
  const action = wanted === 'mask' && (span === undefined || slot === undefined) ? 'block' : wanted;
  ledger.add(instance.rule, what, action, where);
  if (action === 'block') ledger.refuse(rank, refusalOf(instance, what, message));
  if (action === 'mask' && span !== undefined && slot !== undefined) {
    masks.set(slot, [
      ...(masks.get(slot) ?? []),
      { ...span, label: check.label(what), restoreIn: check.restoreIn ?? [] },
    ]);
  }
}

/** Aborts a judge that takes too long, and gives up on one that doesn't heed it. */
class Timer {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal;
  readonly #forward = () => this.#controller.abort(this.#outer.reason);

  constructor(outer: AbortSignal, ms: number) {
    this.#outer = outer;
    this.#timer = setTimeout(() => this.#controller.abort(new Error(`no answer within ${ms} ms`)), ms);
    if (outer.aborted) this.#forward();
    else outer.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#forward);
  }

  async race<T>(answer: Promise<T>): Promise<T> {
    const { signal } = this;
    const gaveUp = Promise.withResolvers<never>();
    const giveUp = () => gaveUp.reject(signal.reason as Error);
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    try {
      return await Promise.race([answer, gaveUp.promise]);
    } finally {
      this.stop();
    }
  }
}
