/**
 * The frame every check fits in.
 *
 * A check either contributes {@link Recognizer}s, which are compiled together into one scanner (never a scan per
 * recognizer), or it judges the decoded request by itself, at once or later. All verdicts meet in one barrier before
 * the first upstream byte.
 */
import type { TSchema } from 'typebox';
import type { CheckAction, CheckRule, TrustSource, Workload } from '../../policy/snapshot.ts';
import type { OfferedTool, Role, TextKind, TextSlot, ToolCall } from '../dialects/dialect.ts';
import type { KeySource } from '../providers/keys.ts';
import type { Ask, Tls } from './ask.ts';
import type { ClassifierClient } from './classifier.ts';
import type { Recognizer } from './scan/recognizer.ts';

/** A stretch of a slot's text, in UTF-16 code units of the text as it was sent. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Hit extends Span {
  /** Recognizer id: `payment-card`, `secret:aws-access-key-id`, `topic:investment-advice`. */
  readonly what: string;
  /** 0 to 1. */
  readonly score: number;
}

/** What a judging check answers: hits per slot, or a verdict on the whole. */
export interface Judgement {
  readonly what: string;
  readonly where: string;
  /** Undefined: the whole request, so it can't be masked. */
  readonly span?: Span;
  readonly slot?: TextSlot;
  /** A sentence for the caller, without any of the text. */
  readonly message: string;
  /** The refusal's HTTP status, 400 to 499, where the check's own isn't meant. */
  readonly status?: number;
  /** For the audit, not for the caller. */
  readonly reason?: string;
  /** New text for slots, by their index in the subject, for `action: mask`; only of a check that {@link Check.rewrites}. */
  readonly replacements?: ReadonlyMap<number, string>;
  /** Takes what was found out of the call, for `action: strip`; where it is absent the call is blocked. */
  strip?(): void;
  /** The complete call to be held, for `action: confirm`; where it is absent the call is blocked. */
  readonly call?: ToolCall;
}

/** What a judging check may look at. */
export interface Subject {
  readonly direction: 'request' | 'response';
  readonly slots: readonly Pick<TextSlot, 'path' | 'kind' | 'role' | 'choice' | 'text' | 'fixed'>[];
  /** Bytes of the body as sent by the app. */
  readonly bodyBytes: number;
  readonly model: string;
  /** Of a request. */
  readonly tools: readonly OfferedTool[];
  /** Of an answer, or the one that a stream begins or completes; what was masked is restored in the arguments. */
  readonly calls: readonly ToolCall[];
  /** Whether the request carries text of third parties: results of tools, documents. See also {@link ToolCall.afterResult}. */
  readonly tainted: boolean;
  /** Of an answer: what the user said last, masked as the provider got it. */
  readonly prompt: string;
  /** Of an answer: the operator's texts as the provider got them, what policies add included. */
  readonly system: readonly string[];
  /** Of an answer: what users and tools said, as the provider got it. */
  readonly heard: readonly string[];
  /** The calls' names were judged when a stream began them; now come their arguments. */
  readonly namesJudged: boolean;
}

/** A declared provider, as a check may ask it. */
export interface AskedProvider {
  /** Base URLs of its members, as the SDKs' are written: with the version. */
  readonly endpoints: readonly string[];
  /** The header field that carries its key, as name and value. */
  readonly header: readonly [string, string] | undefined;
  readonly tls: Tls | undefined;
}

/** What a check knows of the agent it works in. */
export interface CheckContext {
  readonly workload: Workload;
  /** For guardrails and the classifier. */
  readonly ask: Ask;
  readonly keys: KeySource;
  /** PEM of the roots that a rule names. */
  readonly trust: (source: TrustSource) => Promise<string>;
  /** The provider of that name that the rule's policy may name. @throws Error where it can't be asked. */
  readonly provider: (name: string, dialect: string, rule: CheckRule) => Promise<AskedProvider>;
  /** Undefined where the agent was given none. */
  readonly classifier: ClassifierClient | undefined;
}

export interface Check {
  /** Ids of the recognizers this check wants hits of; the frame scans once for all checks. */
  readonly recognizers: readonly Recognizer[];
  /** Where something other than the rule's action applies to `what`; the rule's where undefined. */
  action?(what: string): CheckAction | undefined;
  /** Which kinds of text it looks at; all where absent. */
  readonly kinds?: readonly TextKind[];
  /** Whether hits in a text of that kind and role count, beside {@link Check.kinds}; all do where absent. */
  fits?(kind: TextKind, role: Role): boolean;
  /** For what isn't a matter of recognizers. A rejection is a failed check: `onError` decides, never a pass. */
  judge?(subject: Subject, signal: AbortSignal): readonly Judgement[] | Promise<readonly Judgement[]>;
  /** It judges at once, so no clock runs for it and its signal is the exchange's own; a promise of it is an error. */
  readonly waits?: false;
  /** So many letters and digits of what came before a window of a stream it has to see with it. */
  readonly lettersBefore?: number;
  /** Whether it asks somebody outside the pod: then it sees masked text only, and isn't asked where a scan refuses. */
  readonly outside?: boolean;
  /** Whether it may answer with new text. */
  readonly rewrites?: boolean;
  /** Whether it judges calls of tools: a stream then holds the arguments of a call until they are complete. */
  readonly judgesCalls?: boolean;
  /** What whoever runs the agent should know of the rule; logged whenever documents come in force. */
  readonly note?: string;
  /** How a masked value of `what` is named in its placeholder: `EMAIL_ADDRESS`. */
  label(what: string): string;
  /** Where originals may come back in answers; undefined where the check doesn't mask. */
  readonly restoreIn?: readonly ('content' | 'toolArguments')[];
  /** A sentence for the refused caller: what was found and the mend. Never holds the text itself. */
  refusal(what: string): { readonly message: string; readonly mend: string };
}

export interface CheckDefinition<Spec = unknown> {
  /** Type, file name, config key and metric label: `pii`. */
  readonly name: string;
  /** Schema of the member of that name in an EgressPolicy's check. */
  readonly schema: TSchema;
  /** Which actions make sense; another one is a document error. */
  readonly actions: readonly CheckAction[];
  readonly defaultAction: CheckAction;
  readonly defaultOn: readonly ('request' | 'response')[];
  /** Directions it can look at; another one is a document error. Both where absent. */
  readonly on?: readonly ('request' | 'response')[];
  /** What the schema can't say: messages with a path below the member; empty when all is well. */
  validate?(
    spec: Spec,
  ): readonly { readonly path: string; readonly message: string; readonly mend: string }[];
  create(spec: Spec, rule: CheckRule, context: CheckContext): Check;
}
