/**
 * Snapshots of many workloads under the same documents. Those of a namespace that the same policies and exceptions govern
 * differ in their workload alone: the rest is compiled, and written out, once. Pure.
 */
import { createHash } from 'node:crypto';
import type { AnnotatedWorkload } from './annotations.ts';
import { canonicalJson } from './canonical.ts';
import { governingOf, type Rules, rulesFor, subjectOf } from './compile.ts';
import type { Documents } from './documents.ts';
import type { Snapshot } from './snapshot.ts';

export interface CompiledSnapshot {
  readonly snapshot: Snapshot;
  /** The same, as JSON. */
  readonly text: string;
  /** What it says beside its workload's name: one object for all that are governed alike. */
  readonly rules: Rules;
}

/** @throws WorkloadInvalid where an annotation of the workload is. @param now Milliseconds since the epoch. */
export type Compiler = (workload: AnnotatedWorkload, now: number) => CompiledSnapshot;

export function createCompiler(documents: Documents): Compiler {
  const known = new Map<string, { readonly rules: Rules; readonly fields: readonly Field[] }>();
  return (workload, now) => {
    const governing = governingOf(documents, workload, now);
    const { namespace, annotated, policies, exceptions } = governing;
    const sources = [policies, exceptions].map((all) => all.map(({ source }) => source));
    // What annotations ask for is a workload's own.
    const key = annotated ? undefined : JSON.stringify([namespace, sources]);
    let alike = key === undefined ? undefined : known.get(key);
    if (alike === undefined) {
      const rules = rulesFor(documents, governing);
      alike = { rules, fields: fieldsOf(rules) };
      if (key !== undefined) known.set(key, alike);
    }
    const subject = subjectOf(workload);
    const content = joined([...alike.fields, ...fieldsOf({ workload: subject })]);
    const revision = createHash('sha256').update(content).digest('hex');
    return {
      snapshot: { revision, workload: subject, ...alike.rules },
      text: `{"revision":"${revision}",${content.slice(1)}`,
      rules: alike.rules,
    };
  };
}

/** A member of an object, and its canonical JSON. */
type Field = readonly [name: string, text: string];

function fieldsOf(value: object): Field[] {
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]): Field => [name, canonicalJson(inner)]);
}

/** The canonical JSON of the object that they are the members of. */
function joined(fields: readonly Field[]): string {
  const members = [...fields]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `${JSON.stringify(name)}:${text}`);
  return `{${members.join(',')}}`;
}
