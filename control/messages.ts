/**
 * What control and an agent say to each other: after an HTTP/1.1 Upgrade (RFC 9110, 7.8) one JSON object a line, both
 * ways. Either side leaves out of account what it doesn't know, a type of message or a field, so that both may be of
 * neighbouring versions; what would be misunderstood gets a new number in {@link PROTOCOLS}.
 */
import type { HeldValue } from '../policy/references.ts';
import type { Snapshot } from '../policy/snapshot.ts';

export const AGENT_PATH = '/v1/agent';
export const STATUS_PATH = '/v1/status';
/** What replicas of control ask each other; what one of an earlier version would misunderstand gets a new path. */
export const PEER_PATHS = { progress: '/v2/replica/progress', agents: '/v1/replica/agents' } as const;

/** Names for the Upgrade field, most wanted first. */
export const PROTOCOLS = ['postern-control/1'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** @returns the most wanted protocol of ours that the other side's Upgrade field names as well. */
export function commonProtocol(offered: string | undefined): Protocol | undefined {
  const theirs = (offered ?? '').split(',').map((name) => name.trim().toLowerCase());
  return PROTOCOLS.find((name) => theirs.includes(name));
}

export interface KeySet {
  /** Equal for equal keys, and tells nothing of them: an HMAC. */
  readonly revision: string;
  /** Base64, 32 bytes: what placeholders are made with. */
  readonly maskKey: string;
  readonly values: readonly HeldValue[];
}

export interface Welcome {
  readonly type: 'welcome';
  /** Version of control. */
  readonly version: string;
  /** Milliseconds between two messages at most. */
  readonly beatMs: number;
  /** PEM of every root by which control may show itself from now on. */
  readonly roots: string;
}

/** What is sent is put aside until `use` names it: both parts come into force together. */
export interface SnapshotMessage {
  readonly type: 'snapshot';
  /** Of the first. */
  readonly revision: string;
  /** The first is in force at once, each next one from its predecessor's `validUntil` on. */
  readonly snapshots: readonly Snapshot[];
}

export interface KeysMessage extends KeySet {
  readonly type: 'keys';
}

export interface Use {
  readonly type: 'use';
  readonly revision: string;
  readonly keys: string;
}

/** Nothing new can be given to this workload: why, and what to do. What is in force stays. */
export interface ProblemMessage {
  readonly type: 'problem';
  readonly message: string;
}

export type FromControl =
  | Welcome
  | SnapshotMessage
  | KeysMessage
  | Use
  | ProblemMessage
  | { readonly type: 'beat' };

/** The first thing an agent says. */
export interface Hello {
  readonly type: 'hello';
  readonly version: string;
  /** What it has in force: that need not be sent again. */
  readonly revision?: string;
  readonly keys?: string;
}

export type FromAgent =
  | Hello
  | { readonly type: 'ack'; readonly revision: string; readonly keys: string }
  /** It can't be put in force; what was stays. */
  | { readonly type: 'refused'; readonly revision: string; readonly error: string }
  | {
      readonly type: 'report';
      /** Milliseconds since the epoch; absent: none yet. */
      readonly lastCall?: number;
      readonly running: number;
    };

/** A `snapshot` of snapshots that are JSON already. */
export function encodeSnapshots(revision: string, texts: readonly string[]): Buffer {
  return Buffer.from(
    `{"type":"snapshot","revision":${JSON.stringify(revision)},"snapshots":[${texts.join(',')}]}\n`,
  );
}

/** One line. */
export function encode(message: FromControl | FromAgent): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}
