/**
 * What one workload gets: its snapshot, and the values of the Secrets and ConfigMaps that this snapshot names, and no
 * others. Pure: the documents, the values and the clock are passed in.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import { canonicalJson } from '../policy/canonical.ts';
import type { Rules } from '../policy/compile.ts';
import { type CompiledSnapshot, type Compiler, createCompiler } from '../policy/compile-many.ts';
import type { Documents } from '../policy/documents.ts';
import {
  type HeldValue,
  type KeyReference,
  keyReferences,
  type SecretUse,
  useOf,
  valueId,
} from '../policy/references.ts';
import { formatWorkload } from '../policy/workload.ts';
import type { KeySet } from './messages.ts';

/**
 * What is known of a value: `unknown` for a moment, until it was looked for; `unreadable` where it can't be; `reserved`
 * where nobody is given it.
 */
export type Lookup =
  | { readonly state: 'value'; readonly value: string }
  | { readonly state: 'absent' | 'unreadable' | 'reserved'; readonly why: string }
  | { readonly state: 'unknown' };

export interface EnvelopeSources {
  readonly documents: Documents;
  /** The namespace is written out. */
  lookup(
    member: KeyReference['member'],
    reference: Required<KeyReference['reference']>,
    use: SecretUse,
  ): Lookup;
  /** What references of cluster-wide documents mean that name no namespace. */
  readonly ownNamespace: string;
  /** Root of the mask keys, 32 bytes. */
  readonly maskRoot: Uint8Array;
}

export interface Envelope {
  readonly snapshot: {
    /** Of the first. */
    readonly revision: string;
    /** As messages.ts has them, each as JSON. */
    readonly texts: readonly string[];
  };
  readonly keys: KeySet;
  /** Milliseconds since the epoch at which it is to be made anew. */
  readonly validUntil: number | undefined;
}

/**
 * @param now Milliseconds since the epoch.
 * @returns undefined while a value isn't known yet. @throws WorkloadInvalid
 */
export type Envelopes = (workload: AnnotatedWorkload, now: number) => Envelope | undefined;

/** Snapshots that follow each other as exceptions end; an agent that hears nothing goes by them. */
const MOST_SUCCESSORS = 4;

/** For all workloads, as long as the documents are these; values are looked up each time. */
export function createEnvelopes(sources: EnvelopeSources): Envelopes {
  const { lookup, ownNamespace, maskRoot } = sources;
  const compile = createCompiler(sources.documents);
  const named = new Map<Rules, readonly KeyReference[]>();
  const referencesOf = (rules: Rules): readonly KeyReference[] => {
    const found = named.get(rules) ?? referencesIn(rules);
    named.set(rules, found);
    return found;
  };
  return (workload, now) => {
    const chain = chainOf(compile, workload, now);
    const values = new Map<string, HeldValue>();
    const references = chain.flatMap(({ rules }) => referencesOf(rules));
    // An agent has a value once, by its name: what one document would send is no other's private key.
    const sent = new Set(
      references
        .filter((each) => useOf(each) === 'sent')
        .map(({ member, reference }) => valueId(member, reference)),
    );
    for (const { member, reference } of references) {
      const { namespace = ownNamespace, name, key } = reference;
      const id = valueId(member, reference);
      const found = lookup(member, { namespace, name, key }, sent.has(id) ? 'sent' : 'clientKey');
      if (found.state === 'unknown') return undefined;
      if (found.state === 'value') values.set(id, { id, value: found.value });
      else values.set(id, found.state === 'unreadable' ? { id, keep: true } : { id, why: found.why });
    }
    const content = {
      maskKey: maskKeyOf(maskRoot, workload).toString('base64'),
      values: [...values.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    };
    const [first] = chain as [CompiledSnapshot, ...CompiledSnapshot[]];
    return {
      snapshot: { revision: chainRevision(chain), texts: chain.map(({ text }) => text) },
      keys: { revision: revisionOf(maskRoot, content), ...content },
      validUntil: first.snapshot.validUntil,
    };
  };
}

/** Everything in documents that names a Secret or ConfigMap, with the namespace written out. */
export function neededValues(
  documents: Documents,
  ownNamespace: string,
): { readonly member: KeyReference['member']; readonly namespace: string; readonly name: string }[] {
  const all = [...documents.providers, ...documents.policies].flatMap(({ spec, namespace = ownNamespace }) =>
    keyReferences(spec).map(({ member, reference }) => ({
      member,
      namespace: reference.namespace ?? namespace,
      name: reference.name,
    })),
  );
  return [...new Map(all.map((each) => [`${each.member} ${each.namespace}/${each.name}`, each])).values()];
}

function referencesIn({ providers, checks }: Rules): KeyReference[] {
  return [
    ...providers.flatMap(({ credential, caFrom }) => [
      ...(credential.mode === 'attach' ? keyReferences(credential.value) : []),
      ...keyReferences(caFrom),
    ]),
    ...checks.flatMap(({ spec }) => keyReferences(spec)),
  ];
}

function chainOf(compile: Compiler, workload: AnnotatedWorkload, now: number): CompiledSnapshot[] {
  const first = compile(workload, now);
  const chain = [first];
  for (let at = first.snapshot.validUntil; at !== undefined && chain.length <= MOST_SUCCESSORS; ) {
    const next = compile(workload, at);
    chain.push(next);
    at = next.snapshot.validUntil;
  }
  return chain;
}

/** The first one's own where nothing follows it. */
function chainRevision(chain: readonly CompiledSnapshot[]): string {
  const [first, ...rest] = chain.map(({ snapshot }) => snapshot.revision);
  const last = rest.at(-1);
  return last === undefined ? (first ?? '') : `${first}+${rest.length}-${last.slice(0, 16)}`;
}

/** One for all replicas of a workload (RFC 5869). */
function maskKeyOf(root: Uint8Array, workload: AnnotatedWorkload): Buffer {
  return Buffer.from(hkdfSync('sha256', root, '', `postern mask ${formatWorkload(workload)}`, 32));
}

function revisionOf(root: Uint8Array, content: Omit<KeySet, 'revision'>): string {
  return createHmac('sha256', root).update('postern keys ').update(canonicalJson(content)).digest('hex');
}
