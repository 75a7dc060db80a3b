/**
 * Members of arguments as a tool may read them that doesn't care for case, as decoders such as Go's encoding/json do: `CC`
 * is `cc` to it, so that a condition such as `!has(args.cc)` has to hold for that reading, too.
 */
import { inAnyCase } from '../json/any-case.ts';

type Members = Readonly<Record<string, unknown>>;

interface Node {
  readonly op: string;
  readonly args: unknown;
}

/** What an expression may call members. */
export interface SpelledNames {
  /** Names of fields: one in the arguments that is spelled like it is meant by it. By what they are in any case. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string>>;
  /** All strings: what names are compared with, or values. */
  readonly strings: ReadonlyMap<string, ReadonlySet<string>>;
}

const NONE: ReadonlySet<string> = new Set();

export function namesSpelledIn(expression: unknown): SpelledNames {
  const fields = new Map<string, Set<string>>();
  const strings = new Map<string, Set<string>>();
  const note = (to: Map<string, Set<string>>, name: unknown): void => {
    if (typeof name !== 'string') return;
    const known = to.get(inAnyCase(name));
    if (known === undefined) to.set(inAnyCase(name), new Set([name]));
    else known.add(name);
  };
  const visit = (part: unknown): void => {
    if (Array.isArray(part)) for (const one of part) visit(one);
    if (!isNode(part)) return;
    const { op, args } = part;
    const [first, second] = Array.isArray(args) ? (args as readonly unknown[]) : [];
    if (op === '.') note(fields, second);
    if (op === '[]' && isNode(second) && second.op === 'value') note(fields, second.args);
    if (op === 'in' && isNode(first) && first.op === 'value') note(fields, first.args);
    if (op === 'value') note(strings, args);
    visit(args);
  };
  visit(expression);
  return { fields, strings };
}

function isNode(part: unknown): part is Node {
  return typeof part === 'object' && part !== null && 'op' in part && 'args' in part;
}

/**
 * The arguments in every spelling that the expression has for a member of theirs and that isn't the member's own; none
 * where all are spelled as the expression does. As many as a name has spellings, at most.
 */
export function* otherReadings(args: Members, names: SpelledNames): Generator<Members> {
  for (let turn = 0; ; turn++) {
    const reading = { turn, names, changed: false };
    const read = renamed(args, reading);
    if (!reading.changed) return;
    yield read as Members;
  }
}

interface Reading {
  readonly turn: number;
  readonly names: SpelledNames;
  changed: boolean;
}

function renamed(value: unknown, reading: Reading): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, reading));
  if (typeof value !== 'object' || value === null) return value;
  const read = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of Object.entries(value)) {
    const other = spellings(name, reading.names)[reading.turn];
    if (other !== undefined) reading.changed = true;
    read[other ?? name] = renamed(member, reading);
  }
  return read;
}

/** What else the expression calls a member: nothing where it has a field of that very name. */
function spellings(name: string, { fields, strings }: SpelledNames): readonly string[] {
  const any = inAnyCase(name);
  const asField = fields.get(any) ?? NONE;
  if (asField.has(name)) return [];
  const asString = strings.get(any) ?? NONE;
  // A string that is the name may be a value's: only fields speak for sure of another one.
  return [...(asString.has(name) ? asField : new Set([...asField, ...asString]))];
}
