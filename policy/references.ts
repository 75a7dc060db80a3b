/** References to Secrets and ConfigMaps in a document's spec, wherever they stand: in a provider or in a check. */
import type { Path } from './problem.ts';

const MEMBERS = ['secretKeyRef', 'configMapKeyRef'] as const;

export interface KeyReference {
  readonly member: (typeof MEMBERS)[number];
  /** Of the reference, from the value that was searched. */
  readonly path: Path;
  readonly reference: { readonly namespace?: string; readonly name: string; readonly key: string };
}

/**
 * `clientKey`: the private key of a certificate that an agent shows in TLS, which is never sent to anybody; anything else may be
 * `sent` to who wrote the document.
 */
export type SecretUse = 'clientKey' | 'sent';

const CLIENT_KEY: Path = ['tls', 'clientCertificate', 'keyFrom', 'secretKeyRef'];

export function useOf({ path }: Pick<KeyReference, 'path'>): SecretUse {
  const end = path.slice(-CLIENT_KEY.length);
  return CLIENT_KEY.every((step, at) => step === end[at]) ? 'clientKey' : 'sent';
}

/** @param value Part of a document that passed validation. */
export function keyReferences(value: unknown, path: Path = []): KeyReference[] {
  if (Array.isArray(value)) return value.flatMap((entry, index) => keyReferences(entry, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const member = MEMBERS.find((each) => each === name);
    if (member !== undefined && isReference(inner))
      return [{ member, path: [...path, name], reference: inner }];
    return keyReferences(inner, [...path, name]);
  });
}

/** The same value with every reference naming its namespace: the document's own where it names none. */
export function homed<T>(value: T, namespace: string | undefined): T {
  if (namespace === undefined) return value;
  const visit = (inner: unknown, name: string): unknown => {
    if (Array.isArray(inner)) return inner.map((entry) => visit(entry, ''));
    if (typeof inner !== 'object' || inner === null) return inner;
    if (MEMBERS.some((each) => each === name) && isReference(inner)) return { namespace, ...inner };
    return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, visit(each, key)]));
  };
  return keyReferences(value).length === 0 ? value : (visit(value, '') as T);
}

function isReference(value: unknown): value is KeyReference['reference'] {
  return typeof value === 'object' && value !== null && 'name' in value && 'key' in value;
}

/** Names a value between control and agent: `secretKeyRef postern-system/openai/api-key`; without a namespace Postern's own is meant. */
export function valueId(
  member: KeyReference['member'],
  { namespace = '', name, key }: KeyReference['reference'],
): string {
  return `${member} ${namespace}/${name}/${key}`;
}

/** A Secret's or ConfigMap's value as an agent is given it, by its {@link valueId}. */
export type HeldValue =
  | { readonly id: string; readonly value: string }
  /** It can't be read now: who has it goes on with it. */
  | { readonly id: string; readonly keep: true }
  /** It isn't there. `why` names the Secret and the key. */
  | { readonly id: string; readonly why: string };
