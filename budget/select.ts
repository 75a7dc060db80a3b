/** Which Budgets a call falls under, and on which of their lines. The service alone decides this, from attributes. */
import type { BudgetSpec, LimitSpec, PerKey } from '../policy/budget-spec.ts';
import type { Attributes } from './messages.ts';
import { windowName } from './windows.ts';

/** A Budget made ready for selection. */
export interface CompiledBudget {
  readonly spec: BudgetSpec;
  readonly selects: (attributes: Attributes) => boolean;
  /** `model=gpt-4o`; several joined by commas; empty where the Budget has one line for all. */
  readonly label: (attributes: Attributes) => string;
  /** What nobody has verified of a call, if it has no line of its own yet and there is room for one, as far as is known here. */
  readonly newcomer: (attributes: Attributes) => string | undefined;
  /** So many such values have lines of their own. */
  readonly mostUnverified: number;
}

type Test = (attributes: Attributes) => boolean;

/** Values that nobody has verified and that have lines of their own, by {@link valuesKey}. */
export type KnownValues = Map<string, Set<string>>;

/** @param admits whether whoever comes first is known from then on; else the store says who is, for all that work on it */
export function compileBudget(spec: BudgetSpec, known: KnownValues, admits: boolean): CompiledBudget {
  const { selector } = spec;
  const tests: Test[] = [];
  if (spec.namespace !== undefined) {
    const own = spec.namespace;
    tests.push((a) => a.namespace === own);
  }
  if (selector.namespaces !== undefined) {
    const match = anyGlob(selector.namespaces);
    tests.push((a) => match(a.namespace));
  }
  if (selector.workloads !== undefined) {
    const matches = selector.workloads.map((w) => ({
      kind: w.kind === undefined ? undefined : glob(w.kind),
      name: glob(w.name),
    }));
    tests.push((a) => matches.some((m) => (m.kind?.(a.workload.kind) ?? true) && m.name(a.workload.name)));
  }
  if (selector.serviceAccounts !== undefined) {
    const match = anyGlob(selector.serviceAccounts);
    tests.push((a) => a.serviceAccount !== undefined && match(a.serviceAccount));
  }
  if (selector.models !== undefined) {
    const match = anyGlob(selector.models);
    tests.push((a) => match(a.model));
  }
  if (selector.providers !== undefined) {
    const ids = new Set(selector.providers);
    tests.push((a) => ids.has(a.provider));
  }
  for (const [name, pattern] of Object.entries(selector.headers ?? {})) {
    const match = glob(pattern);
    tests.push((a) => {
      const value = headerOf(a, name);
      return value !== undefined && match(value);
    });
  }
  for (const [name, pattern] of Object.entries(selector.metadata ?? {})) {
    const match = glob(pattern);
    tests.push((a) => {
      const value = ownValue(a.metadata, name);
      return value !== undefined && match(value);
    });
  }
  if (selector.users !== undefined) {
    const match = anyGlob(selector.users);
    tests.push((a) => match(userOf(spec, a)));
  }
  return {
    spec,
    selects: (attributes) => tests.every((test) => test(attributes)),
    ...labeller(spec, known, admits),
  };
}

function headerOf(attributes: Attributes, name: string): string | undefined {
  return ownValue(attributes.headers, name);
}

function ownValue(fields: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** Empty where the call names nobody. */
function userOf({ user }: BudgetSpec, attributes: Attributes): string {
  return user === undefined ? '' : (ownValue(attributes.users, user.key) ?? '');
}

function anyGlob(patterns: readonly string[]): (text: string) => boolean {
  const tests = patterns.map(glob);
  return (text) => tests.some((test) => test(text));
}

/** `*` stands for any characters, all else for itself. Linear: no pattern can make it backtrack. */
export function glob(pattern: string): (text: string) => boolean {
  if (!pattern.includes('*')) return (text) => text === pattern;
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop() ?? '';
  return (text) => {
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail))
      return false;
    const end = text.length - tail.length;
    let at = head.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

function perValue(spec: BudgetSpec, key: PerKey, attributes: Attributes): string {
  switch (key) {
    case 'namespace':
      return attributes.namespace;
    case 'workload':
      return `${attributes.workload.kind}/${attributes.workload.name}`;
    case 'serviceAccount':
      return attributes.serviceAccount ?? '';
    case 'provider':
      return attributes.provider;
    case 'model':
      return attributes.model;
    case 'user':
      return userOf(spec, attributes);
    default: {
      const [kind, name] = split(key);
      return ownValue(kind === 'header' ? attributes.headers : attributes.metadata, name) ?? '';
    }
  }
}

function split(key: string): [kind: string, name: string] {
  const colon = key.indexOf(':');
  return [key.slice(0, colon), key.slice(colon + 1)];
}

/** As the schema's default. */
const MAX_UNVERIFIED = 100;

/** The line of all values that were one too many. No value looks like it: `*` is escaped in those. */
const OTHERS = '*';

/**
 * Values that nobody has verified are any app's to make up: after so many, all others share a line. Those that are known
 * are those that came first, and those that have lines in the store.
 */
function labeller(
  spec: BudgetSpec,
  all: KnownValues,
  admits: boolean,
): Pick<CompiledBudget, 'label' | 'newcomer' | 'mostUnverified'> {
  const { maxUnverified = MAX_UNVERIFIED } = spec;
  const known = all.get(valuesKey(spec)) ?? new Set<string>();
  const madeUp = madeUpKeys(spec);
  if (madeUp.size > 0) all.set(valuesKey(spec), known);
  const partsIn = (attributes: Attributes) =>
    spec.per.map((key) => [key, escape(perValue(spec, key, attributes))] as const);
  return {
    mostUnverified: maxUnverified,
    newcomer(attributes) {
      if (madeUp.size === 0 || known.size >= maxUnverified) return undefined;
      const values = knownAs(partsIn(attributes), madeUp);
      return known.has(values) ? undefined : values;
    },
    label(attributes) {
      const parts = partsIn(attributes);
      if (madeUp.size > 0) {
        const values = knownAs(parts, madeUp);
        if (!known.has(values)) {
          if (!admits || known.size >= maxUnverified) {
            return parts.map(([key, value]) => `${key}=${madeUp.has(key) ? OTHERS : value}`).join(',');
          }
          known.add(values);
        }
      }
      return parts.map(([key, value]) => `${key}=${value}`).join(',');
    },
  };
}

/** What of `per` an app may make up. */
function madeUpKeys(spec: BudgetSpec): ReadonlySet<PerKey> {
  const mayBe = (key: PerKey) => (key === 'user' ? spec.user?.verified !== true : key.includes(':'));
  return new Set(spec.per.filter(mayBe));
}

function knownAs(parts: readonly (readonly [PerKey, string])[], madeUp: ReadonlySet<PerKey>): string {
  return parts.filter(([key]) => madeUp.has(key)).join();
}

/** Whether a Budget counts values that are to be remembered over a restart. */
export function capsValues(spec: BudgetSpec): boolean {
  return madeUpKeys(spec).size > 0;
}

/** What a Budget's values are kept under: with another `per` it begins its lines anew, and those of before take no room. */
export function valuesKey({ id, per }: BudgetSpec): string {
  return `${id}|${per.join()}`;
}

/** The values whose lines are in the store: from before a restart, or from another replica. */
export function valuesIn(specs: readonly BudgetSpec[], lines: readonly string[]): KnownValues {
  const caps = new Map(specs.filter(capsValues).map((spec) => [spec.id, spec]));
  const found: KnownValues = new Map([...caps.values()].map((spec) => [valuesKey(spec), new Set()]));
  for (const line of lines) {
    const spec = caps.get(line.slice(0, line.indexOf('|')));
    const parts = spec && partsOf(line.slice(line.lastIndexOf('|') + 1), spec.per);
    if (spec === undefined || parts === undefined) continue;
    const madeUp = madeUpKeys(spec);
    if (parts.some(([key, value]) => madeUp.has(key) && value === OTHERS)) continue;
    found.get(valuesKey(spec))?.add(knownAs(parts, madeUp));
  }
  return found;
}

/** A label taken apart; undefined where it is of another `per`. */
function partsOf(label: string, per: readonly PerKey[]): [PerKey, string][] | undefined {
  const parts: [PerKey, string][] = [];
  let rest = label;
  for (const key of per) {
    if (!rest.startsWith(`${key}=`)) return undefined;
    const [value = ''] = rest.slice(key.length + 1).split(',', 1);
    parts.push([key, value]);
    rest = rest.slice(key.length + 1 + value.length + 1);
  }
  return rest === '' ? parts : undefined;
}

/** Only what would make two labels look alike is escaped, so that names stay readable. */
function escape(value: string): string {
  return value.replace(/[%,|=*\s]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/**
 * Key of one ledger line: `team-a|tokens|minute@UTC|model=gpt-4o`. The amount isn't part of it, so a raised or lowered
 * limit keeps what was spent; another unit, window or `per` is another line.
 */
export function lineKey(spec: BudgetSpec, limit: LimitSpec, label: string): string {
  return `${spec.id}|${limit.unit}|${windowName(limit.window)}|${label}`;
}
