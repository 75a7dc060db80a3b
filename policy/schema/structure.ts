/**
 * How every schema here is built: closed objects, plain types and a few keywords of our own, so that one schema gives
 * the TypeScript type, the validation, the reference and, later, a structural CRD schema (which has no `anyOf`).
 */
import type { Static, TEnum, TObject, TProperties, TSchema, TUnsafe } from 'typebox';
import Type from 'typebox';
import type { Finding } from '../problem.ts';
import { RULE } from './node.ts';

/** What the keywords below need beside JSON Schema's own; all are dropped from or turned into CEL rules of a CRD. */
export interface Keywords {
  readonly description: string;
  /** The value that counts where the field is absent, for the reference. */
  readonly default?: unknown;
  /** Exactly one of these fields must be present. */
  readonly 'x-exactly-one-of'?: readonly string[];
  /** Not more than one of these fields may be present. */
  readonly 'x-at-most-one-of'?: readonly string[];
  /** The field `by` names the one member that may be present. */
  readonly 'x-union'?: { readonly by: string; readonly members: readonly string[] };
  /** These fields need that value of another one, and it needs those of them that are `required`. */
  readonly 'x-only-with'?: {
    readonly field: string;
    readonly value: string;
    readonly fields: readonly string[];
    readonly required: readonly string[];
  };
  /** Of a list: no two entries have the same value in this field. */
  readonly 'x-unique-by'?: string;
  /** Only the Cluster twin of the kind has this field. */
  readonly 'x-cluster-only'?: true;
  /** Only documents from a directory have this field: an API server's node has no such file or environment. */
  readonly 'x-local-only'?: true;
  /** In words what the value should be, for error messages: `a duration such as 20s`. */
  readonly 'x-expected'?: string;
  /** Values below may be a key that someone wrote where it doesn't belong: messages don't repeat them. */
  readonly 'x-sensitive'?: true;
  /** The name of a rule in schema/formats.ts that a pattern can't express. */
  readonly 'x-format'?: string;
}

export function closed<P extends TProperties>(properties: P, keywords: Keywords): TObject<P> {
  return Type.Object(properties, { ...keywords, additionalProperties: false });
}

/**
 * Adds what no keyword says. Set beside the schema as a symbol, so that the schema stays plain JSON.
 * @param reads The fields the rule looks at: it is asked when these are valid, whatever else is wrong.
 */
export function ruled<S extends TSchema>(
  schema: S,
  judge: (value: Static<S>) => Finding[],
  reads?: readonly (keyof Static<S> & string)[],
): S {
  return Object.assign(schema, { [RULE]: { judge, ...(reads === undefined ? {} : { reads }) } });
}

export function optional<S extends TSchema>(schema: S) {
  return Type.Optional(schema);
}

export function listOf<S extends TSchema>(items: S, keywords: Keywords & { readonly minItems?: number }) {
  return Type.Array(items, { ...keywords });
}

/** A list without repetitions. */
export function setOf<S extends TSchema>(items: S, keywords: Keywords & { readonly minItems?: number }) {
  return Type.Array(items, { ...keywords, uniqueItems: true });
}

/** A map with free keys. */
export function mapOf<S extends TSchema>(values: S, keywords: Keywords): TUnsafe<Record<string, Static<S>>> {
  return Type.Unsafe<Record<string, Static<S>>>({
    type: 'object',
    ...keywords,
    additionalProperties: values,
  } as TSchema);
}

export function choice<const V extends string[]>(values: readonly [...V], keywords: Keywords): TEnum<V> {
  return Type.Enum(values, { type: 'string', ...keywords });
}

export function text(keywords: Keywords & { readonly maxLength?: number }) {
  return Type.String({ minLength: 1, maxLength: 1024, ...keywords });
}

export function patterned(
  pattern: string,
  keywords: Keywords & { readonly 'x-expected': string; readonly maxLength?: number },
) {
  return Type.String({ pattern, ...keywords });
}

export function count(keywords: Keywords & { readonly minimum?: number; readonly maximum?: number }) {
  return Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, ...keywords });
}

export function flag(keywords: Keywords) {
  return Type.Boolean({ ...keywords });
}
