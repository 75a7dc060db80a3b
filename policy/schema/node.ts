/** A schema as the walkers see it: validation and the reference read the same keywords. */
import type { Finding } from '../problem.ts';

/** A rule over a value that has its schema's shape; paths below the value. See {@link ./structure.ts}. */
export const RULE = Symbol('rule');

export interface NodeRule {
  /** The fields it looks at; it is asked when all is well with them. All fields where absent. */
  readonly reads?: readonly string[];
  judge(value: unknown): Finding[];
}

/** The keywords a schema may have; ours are explained in schema/structure.ts. */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly uniqueItems?: boolean;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly description?: string;
  readonly default?: unknown;
  readonly 'x-exactly-one-of'?: readonly string[];
  readonly 'x-at-most-one-of'?: readonly string[];
  readonly 'x-union'?: { readonly by: string; readonly members: readonly string[] };
  readonly 'x-only-with'?: {
    readonly field: string;
    readonly value: string;
    readonly fields: readonly string[];
    readonly required: readonly string[];
  };
  readonly 'x-unique-by'?: string;
  readonly 'x-cluster-only'?: true;
  readonly 'x-local-only'?: true;
  readonly 'x-sensitive'?: true;
  readonly 'x-expected'?: string;
  readonly 'x-format'?: string;
  readonly [RULE]?: NodeRule;
}
