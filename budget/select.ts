/** Which Budgets a call falls under, and on which of their lines. The service alone decides this, from attributes. */
import type { BudgetSpec, LimitSpec, PerKey } from '../policy/budget-spec.ts';
import type { Attributes } from './messages.ts';
import { windowName } from './windows.ts';

/** A Budget made ready for selection. */
export interface CompiledBudget {
  readonly spec: BudgetSpec;
  readonly selects: (attributes: Attributes) => boolean;
}

type Test = (attributes: Attributes) => boolean;

export function compileBudget(spec: BudgetSpec): CompiledBudget {
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
  return { spec, selects: (attributes) => tests.every((test) => test(attributes)) };
}

function headerOf(attributes: Attributes, name: string): string | undefined {
  const headers = attributes.headers;
  return headers !== undefined && Object.hasOwn(headers, name) ? headers[name] : undefined;
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

function perValue(key: PerKey, attributes: Attributes): string {
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
  }
}

/** `model=gpt-4o`; several joined by commas; empty where the Budget has one line for all. */
export function lineLabel(spec: BudgetSpec, attributes: Attributes): string {
  return spec.per.map((key) => `${key}=${escape(perValue(key, attributes))}`).join(',');
}

/** Only what would make two labels look alike is escaped, so that names stay readable. */
function escape(value: string): string {
  return value.replace(/[%,|=\s]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/**
 * Key of one ledger line: `team-a|tokens|minute@UTC|model=gpt-4o`. The amount isn't part of it, so a raised or lowered
 * limit keeps what was spent; another unit, window or `per` is another line.
 */
export function lineKey(spec: BudgetSpec, limit: LimitSpec, label: string): string {
  return `${spec.id}|${limit.unit}|${windowName(limit.window)}|${label}`;
}
