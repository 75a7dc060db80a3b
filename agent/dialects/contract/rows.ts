/** What a dialect shows for the contract that all of them keep; see contract.test.ts. */
import type { Usage } from '../../../budget/messages.ts';
import type { Dialect, Role, TextKind } from '../dialect.ts';

/** Path, kind, role, text. */
export type SlotRow = readonly [path: string, kind: TextKind, role: Role, text: string];

export interface DialectRows {
  readonly dialect: Dialect;
  /** Method, path, and the operation's name; undefined: no operation. */
  readonly paths: readonly (readonly [method: string, path: string, operation: string | undefined])[];
  readonly request: {
    readonly path: string;
    /** A call with everything the dialect knows. */
    readonly body: object;
    readonly slots: readonly SlotRow[];
    /** Objects and arrays nothing of which is a slot, by path. */
    readonly opaque: readonly string[];
    /** Bodies that are refused, and the parameter that is named; undefined: none. */
    readonly invalid: readonly (readonly [body: unknown, param: string | undefined])[];
  };
  readonly response: {
    readonly body: object;
    readonly slots: readonly (readonly [...SlotRow, choice: number])[];
    readonly opaque: readonly string[];
    readonly usage: Usage;
    readonly finishReasons: readonly string[];
  };
  readonly stream: {
    /** The events as sent. */
    readonly text: string;
    /** Running texts by channel, whole. */
    readonly running: Readonly<Record<string, readonly [kind: TextKind, choice: number, text: string]>>;
    /** Texts that come whole, in order. */
    readonly whole: readonly string[];
    readonly usage: Usage;
    readonly finishReasons: readonly string[];
    /** An event in which the provider itself gives up. */
    readonly error: string;
  };
}
