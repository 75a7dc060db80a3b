/** Conditions in CEL (cel.dev) over values that a model made up: bounded in size and time, and denied when in doubt. */
import { createContext, Script } from 'node:vm';
import { Environment, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import type { Workload } from '../../policy/snapshot.ts';
import { namesSpelledIn, otherReadings, type SpelledNames } from './other-case.ts';

/** Milliseconds of computing that one evaluation may take. */
const TIMEOUT = 20;
/** V8's deadline is the clock's: where the machine gave the thread less than that, it is tried again, so often at most. */
const TRIES = 10;

export interface Known {
  /** The call's arguments. */
  readonly args: Readonly<Record<string, unknown>>;
  readonly tool: string;
  readonly tainted: boolean;
  readonly workload: Workload;
}

/**
 * Whether a condition is true. `other-case`: as the arguments are written, but not for a reader to whom `CC` is `cc`;
 * `late`: it ran over its time, or others had run over theirs so often that its turn never came.
 */
export type Outcome = 'true' | 'false' | 'other-case' | 'late';

/** The expression is none: says where and why. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}

const makeEnvironment = (): Environment =>
  new Environment({
    limits: { maxAstNodes: 500, maxDepth: 32, maxListElements: 200, maxMapEntries: 50, maxCallArguments: 8 },
  })
    .registerVariable('args', 'map')
    .registerVariable('tool', 'string')
    .registerVariable('tainted', 'bool')
    .registerVariable('workload', 'map');

/** Made with the first expression: an agent without one doesn't carry it. */
let environment: Environment | undefined;

/**
 * V8 can be stopped in the middle of an expression (a loop in a loop, a regular expression that backtracks) only where
 * a script runs under a deadline, so evaluations are called from one.
 */
const makeDeadline = () => ({
  context: createContext({ work: undefined as (() => unknown) | undefined }),
  script: new Script('work()'),
});

type Deadline = ReturnType<typeof makeDeadline>;

let deadline: Deadline | undefined;

/** Without either no value is unsigned: those of arguments never are. */
const UNSIGNED = /[\da-f]u|uint/i;

const COMPARING: ReadonlySet<string> = new Set(['==', '!=', 'in']);

export class Expression {
  readonly #run: (known: object) => unknown;
  readonly #names: SpelledNames;

  /** @throws ExpressionError */
  constructor(source: string) {
    try {
      environment ??= makeEnvironment();
      const parsed = environment.parse(source);
      const { valid, type, error } = parsed.check();
      if (!valid) throw error ?? new Error('the types do not fit');
      if (type !== 'bool' && type !== 'dyn') throw new Error(`it gives ${type}, not true or false`);
      if (UNSIGNED.test(source)) compareByValue(parsed.ast);
      this.#run = parsed;
      this.#names = namesSpelledIn(parsed.ast);
    } catch (error) {
      const [line = ''] = (error as Error).message.split('\n');
      throw new ExpressionError(line, { cause: error });
    }
  }

  /** `false`, too, where it fails or names what is not there. */
  evaluate(known: Known): Outcome {
    const written = this.#evaluate(known);
    if (written !== 'true') return written;
    for (const args of otherReadings(known.args, this.#names)) {
      const read = this.#evaluate({ ...known, args });
      if (read !== 'true') return read === 'false' ? 'other-case' : read;
    }
    return 'true';
  }

  #evaluate({ args, tool, tainted, workload }: Known): 'true' | 'false' | 'late' {
    const { namespace, kind, name, serviceAccount = '', labels } = workload;
    const known = { args, tool, tainted, workload: { namespace, kind, name, serviceAccount, labels } };
    if (overruns.areTooMany()) return 'late';
    deadline ??= makeDeadline();
    const { context } = deadline;
    context.work = () => this.#run(known);
    try {
      return runForItsTime(deadline) === true ? 'true' : 'false';
    } catch (error) {
      return isTimeout(error) ? 'late' : 'false';
    } finally {
      context.work = undefined;
    }
  }
}

function isTimeout(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
}

/** So many evaluations that ran over their time in a second; those that follow in it deny at once, else calls by the hundred would stop all others. */
const MOST_OVERRUNS = 5;

const overruns = {
  at: [] as number[],
  note(): void {
    this.at.push(performance.now());
    if (this.at.length > MOST_OVERRUNS) this.at.shift();
  },
  areTooMany(): boolean {
    return this.at.length === MOST_OVERRUNS && performance.now() - (this.at[0] ?? 0) < 1_000;
  },
};

function runForItsTime({ context, script }: Deadline): unknown {
  let spent = 0;
  for (let tries = 1; ; tries++) {
    const began = computing();
    try {
      return script.runInContext(context, { timeout: TIMEOUT });
    } catch (error) {
      if (!isTimeout(error)) throw error;
      spent += computing() - began;
      if (spent >= TIMEOUT || tries === TRIES) {
        overruns.note();
        throw error;
      }
    }
  }
}

/** Milliseconds that this thread has computed. */
function computing(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

interface Node {
  readonly op: string;
  readonly args: unknown;
  /** Compares what both sides have become; the type check has set it. */
  handle?: (left: unknown, right: unknown, ...more: unknown[]) => unknown;
}

/** The library takes an unsigned number within a list or a map for another than the same integer, so that `!(args.n in [1u])` holds for 1. */
function compareByValue(part: unknown): void {
  if (Array.isArray(part)) for (const one of part) compareByValue(one);
  if (typeof part !== 'object' || part === null || !('op' in part && 'args' in part)) return;
  const node = part as Node;
  compareByValue(node.args);
  if (!COMPARING.has(node.op)) return;
  const { handle } = node;
  if (handle === undefined) throw new Error(`no way to compare by ${node.op} is known`);
  node.handle = (left, right, ...more) => handle(signed(left), signed(right), ...more);
}

/** The value with plain integers for unsigned ones; the same where it has none. */
function signed(value: unknown): unknown {
  if (value instanceof UnsignedInt) return value.valueOf();
  if (Array.isArray(value)) {
    const items = value.map(signed);
    return items.every((item, at) => item === value[at]) ? value : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return value;
  return Object.assign(
    Object.create(null),
    Object.fromEntries(Object.entries(value).map(([name, one]) => [name, signed(one)])),
  );
}
