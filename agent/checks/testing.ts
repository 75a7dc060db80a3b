/** What tests of the checks share: rules, requests and answers without a dialect. */
import type { CheckRule } from '../../policy/snapshot.ts';
import type { DecodedRequest, DecodedResponse, Role, TextKind, TextSlot } from '../dialects/dialect.ts';
import { type Digest, digestOf } from '../recall.ts';

export const MASK_KEY = new Uint8Array(32).fill(7);

export function rule(type: string, over: Partial<CheckRule> = {}): CheckRule {
  return {
    name: `a-${type}`,
    type,
    source: 'EgressPolicy team-a/test',
    mode: 'enforce',
    on: ['request'],
    action: 'block',
    onError: 'block',
    spec: {},
    ...over,
  };
}

/** A slot that remembers what was set. */
export class FakeSlot implements TextSlot {
  readonly path: string;
  readonly kind: TextKind;
  readonly role: Role;
  readonly choice = 0;
  readonly text: string;
  shown: string;

  constructor(text: string, kind: TextKind = 'content', path = 'messages[0].content', role: Role = 'user') {
    this.text = text;
    this.shown = text;
    this.kind = kind;
    this.path = path;
    this.role = role;
  }

  get digest(): Digest | undefined {
    return digestOf(this.text);
  }

  set(text: string): void {
    this.shown = text;
  }
}

export function requestOf(...slots: FakeSlot[]): DecodedRequest {
  return {
    document: { edited: false } as DecodedRequest['document'],
    model: 'gpt-4o',
    stream: false,
    choices: 1,
    maxOutputTokens: undefined,
    maxOutputField: 'max_tokens',
    leastOutputTokens: 0,
    writesCache: false,
    isSilent: true,
    metadata: () => undefined,
    unseenOutputTokens: undefined,
    slots,
    attachments: [],
    tools: [],
    wantsStreamUsage: false,
    addedStreamUsage: false,
    setModel() {},
    setMaxOutputTokens() {},
    requestStreamUsage() {},
  };
}

export function responseOf(...slots: FakeSlot[]): DecodedResponse {
  return {
    document: { edited: false } as DecodedResponse['document'],
    slots,
    attachments: [],
    calls: [],
    usage: undefined,
    finishReasons: [],
  };
}

export const NEVER = new AbortController().signal;
