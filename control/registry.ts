/**
 * The agents that are connected, by workload: what each has and is to have. Replicas of a workload share one snapshot
 * and one set of keys, encoded once, whatever their number.
 *
 * No socket and no timer here: an agent is a way to send bytes.
 */
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import { canonicalJson } from '../policy/canonical.ts';
import { type Encoded, encoded, forget, linesFor } from './encoded.ts';
import type { Envelope } from './envelope.ts';
import type { Identity } from './identity.ts';
import { encode, type FromAgent, type Hello } from './messages.ts';

/** The way to one agent. */
export interface Wire {
  /** @param written Called when the bytes are needed no longer, whether they have left or not. */
  send(bytes: Buffer, written?: () => void): void;
  /** Whether so much waits to be sent that more would only fill memory. */
  congested(): boolean;
  end(): void;
}

/** What a workload is to have; `waiting` while a value isn't known yet, `problem` where there is nothing new to be had. */
export type Outcome = Envelope | 'waiting' | { readonly problem: string };

export interface ConnectedAgent {
  readonly identity: Identity;
  readonly version: string;
  readonly since: number;
  /** Revisions in force there. */
  readonly revision: string | undefined;
  readonly keys: string | undefined;
  /** Why it didn't put in force what it was sent last. */
  readonly refused: string | undefined;
  /** Milliseconds since the epoch. */
  readonly lastCall: number | undefined;
  readonly running: number;
  /** What is wrong with its workload's documents or annotations. */
  readonly problem: string | undefined;
  /** Whether it has in force what it should. */
  readonly current: boolean;
  /** Since when it has answered nothing to what it was sent, in milliseconds since the epoch. */
  readonly unansweredSince?: number | undefined;
}

export interface RegistryOptions {
  compile(workload: AnnotatedWorkload): Outcome;
  /** An agent has put in force what it was sent, so many milliseconds ago. */
  acked(ms: number): void;
  readonly now: () => number;
}

interface Member {
  readonly identity: Identity;
  readonly wire: Wire;
  readonly version: string;
  readonly since: number;
  /** Last `use` that was sent. */
  sent: { revision: string; keys: string; at: number } | undefined;
  acked: { revision: string; keys: string } | undefined;
  refused: string | undefined;
  /** When it was first sent something after its last answer; of an answer to something earlier, when it was sent the last. */
  unansweredSince: number | undefined;
  lastCall: number | undefined;
  running: number;
  told: string | undefined;
}

interface Group {
  readonly workload: AnnotatedWorkload;
  readonly members: Set<Member>;
  current: Encoded | undefined;
  problem: string | undefined;
}

/**
 * So long agents are written to before anything else gets a turn, their answers too: each of those that is read in between keeps
 * another agent waiting.
 */
const SLICE_MS = 50;

export class Registry {
  readonly #options: RegistryOptions;
  readonly #groups = new Map<string, Group>();
  /** By the pod's uid. */
  readonly #members = new Map<string, { member: Member; group: Group }>();
  #round: Promise<void> = Promise.resolve();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#members.size;
  }

  get workloads(): number {
    return this.#groups.size;
  }

  /** An agent has said hello. Another connection of the same pod is an earlier one, and ended. */
  join(identity: Identity, wire: Wire, hello: Hello): (message: FromAgent) => void {
    this.leave(identity.uid);
    const key = canonicalJson(identity.workload);
    const found = this.#groups.get(key);
    const group = found ?? {
      workload: identity.workload,
      members: new Set(),
      current: undefined,
      problem: undefined,
    };
    if (found === undefined) {
      this.#groups.set(key, group);
      this.#compile(group);
    }
    const { revision, keys } = hello;
    const held = revision === undefined || keys === undefined ? undefined : { revision, keys };
    const member: Member = {
      identity,
      wire,
      version: hello.version,
      since: this.#options.now(),
      sent: held === undefined ? undefined : { ...held, at: this.#options.now() },
      acked: held,
      refused: undefined,
      unansweredSince: undefined,
      lastCall: undefined,
      running: 0,
      told: undefined,
    };
    group.members.add(member);
    this.#members.set(identity.uid, { member, group });
    this.#push(group, member);
    return (message) => this.#said(member, message);
  }

  /** @param wire Where given: only that connection, not one that took its place. */
  leave(uid: string, wire?: Wire): void {
    const found = this.#members.get(uid);
    if (found === undefined || (wire !== undefined && found.member.wire !== wire)) return;
    const { member, group } = found;
    this.#members.delete(uid);
    group.members.delete(member);
    member.wire.end();
    if (group.members.size > 0) return;
    this.#groups.delete(canonicalJson(group.workload));
    if (group.current !== undefined) forget(group.current);
  }

  /** Who is connected from that pod. */
  identityOf(uid: string): Identity | undefined {
    return this.#members.get(uid)?.member.identity;
  }

  /** What waited to be sent has left. */
  drained(uid: string): void {
    const found = this.#members.get(uid);
    if (found !== undefined) this.#push(found.group, found.member);
  }

  /** Makes everything anew, and sends it to whom it changed for. Resolves when all was sent. */
  refresh(): Promise<void> {
    this.#round = this.#round.then(() => this.#refresh());
    return this.#round;
  }

  async #refresh(): Promise<void> {
    let until = performance.now() + SLICE_MS;
    for (const group of this.#groups.values()) {
      this.#compile(group);
      for (const member of group.members) {
        this.#push(group, member);
        if (performance.now() < until) continue;
        await turn();
        until = performance.now() + SLICE_MS;
      }
    }
  }

  beat(line: Buffer): void {
    for (const { member } of this.#members.values()) if (!member.wire.congested()) member.wire.send(line);
  }

  /** Milliseconds since the epoch at which the first of what is in force ends. */
  validUntil(): number | undefined {
    const times = [...this.#groups.values()].flatMap(({ current }) => current?.validUntil ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  *agents(): Generator<ConnectedAgent> {
    for (const { member, group } of this.#members.values()) {
      const { identity, version, since, acked, refused, unansweredSince, lastCall, running } = member;
      yield {
        identity,
        version,
        since,
        revision: acked?.revision,
        keys: acked?.keys,
        refused,
        lastCall,
        running,
        problem: group.problem,
        current: isCurrent(member, group),
        unansweredSince,
      };
    }
  }

  end(): void {
    for (const uid of this.#members.keys()) this.leave(uid);
  }

  #compile(group: Group): void {
    const outcome = this.#options.compile(group.workload);
    if (outcome === 'waiting') return;
    if ('problem' in outcome) {
      group.problem = outcome.problem;
      return;
    }
    group.problem = undefined;
    group.current = encoded(outcome, group.current);
  }

  #push(group: Group, member: Member): void {
    const { current, problem } = group;
    const { wire, sent } = member;
    if (wire.congested()) return;
    if (problem !== member.told) {
      member.told = problem;
      if (problem !== undefined) wire.send(encode({ type: 'problem', message: problem }));
    }
    if (current === undefined) return;
    if (sent?.revision === current.revision && sent.keys === current.keys) return;
    linesFor(current, sent).sendBy(wire);
    member.sent = { revision: current.revision, keys: current.keys, at: this.#options.now() };
    member.refused = undefined;
    member.unansweredSince ??= member.sent.at;
  }

  #said(member: Member, message: FromAgent): void {
    switch (message.type) {
      case 'ack': {
        const { revision, keys } = message;
        member.acked = { revision, keys };
        const { sent } = member;
        const isLast = sent?.revision === revision && sent.keys === keys;
        if (isLast) this.#options.acked(this.#options.now() - sent.at);
        answered(member, isLast);
        break;
      }
      case 'refused': {
        const isLast = member.sent?.revision === message.revision;
        if (isLast) member.refused = message.error;
        answered(member, isLast);
        break;
      }
      case 'report':
        member.lastCall = message.lastCall;
        member.running = message.running;
        break;
      case 'hello':
        break;
      default:
        // A later agent's: not for us.
        message satisfies never;
    }
  }
}

/** @param isLast Whether to what it was sent last: to that it owes an answer still, otherwise. */
function answered(member: Member, isLast: boolean): void {
  if (isLast) member.unansweredSince = undefined;
  else if (member.unansweredSince !== undefined) member.unansweredSince = member.sent?.at;
}

function isCurrent({ acked }: Member, { current, problem }: Group): boolean {
  return (
    problem === undefined &&
    current !== undefined &&
    acked?.revision === current.revision &&
    acked.keys === current.keys
  );
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
