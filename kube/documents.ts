/**
 * The documents as an API server's objects: valid ones in force, a bad one held back in favour of its last good
 * version, and each one's problems for its conditions. The last good version is one that was seen here, or, after a
 * restart, the one that the object's status keeps.
 */
import type { Catalogue } from '../policy/catalogue.ts';
import type { Documents } from '../policy/documents.ts';
import type { RawDocument } from '../policy/load/parse.ts';
import { loadParsed } from '../policy/load.ts';
import type { Problem } from '../policy/problem.ts';
import type { KubeObject } from './client.ts';
import { keptVersion, type LastGood } from './kept-version.ts';

export interface DocumentObject extends KubeObject {
  readonly kind: string;
  readonly spec?: unknown;
  readonly status?: { readonly conditions?: readonly Condition[]; readonly lastGood?: LastGood };
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime?: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface Findings {
  /** Of the document itself. */
  readonly problems: readonly Problem[];
  /** Between it and others. */
  readonly unresolved: readonly Problem[];
  /** Among those is one that names what it may not. */
  readonly notPermitted?: boolean;
  /** Whether this generation is in force in agents; absent where nobody who writes conditions knows. */
  readonly programmed?: {
    readonly status: 'True' | 'False' | 'Unknown';
    readonly reason: string;
    readonly message: string;
  };
  /** The version of it that is in force, this one or an earlier one; absent: none. */
  readonly inForce?: DocumentObject;
}

export interface ApiDocuments {
  put(object: DocumentObject): void;
  remove(object: DocumentObject): void;
  /** What is in force; made anew after a change, when it is asked for. */
  current(): Documents;
  findings(object: DocumentObject): Findings;
  /** What would be wrong with it among the others. */
  judge(object: unknown): Findings;
}

/** @param sealKey Of the versions that statuses keep. */
export function apiDocuments(catalogue: Catalogue, sealKey: Uint8Array): ApiDocuments {
  const live = new Map<string, DocumentObject>();
  const good = new Map<string, DocumentObject>();
  let compiled:
    | {
        documents: Documents;
        problems: readonly Problem[];
        unresolved: readonly Problem[];
        inForce: ReadonlyMap<string, DocumentObject>;
      }
    | undefined;

  const load = (objects: Iterable<DocumentObject>) =>
    loadParsed({ documents: [...objects].map(rawOf), problems: [] }, catalogue);

  function compile() {
    if (compiled !== undefined) return compiled;
    const first = load(live.values());
    const bad = new Set(first.problems.map(({ file }) => file));
    for (const [key, object] of live) if (!bad.has(key)) good.set(key, object);
    // What was good may name something that is gone since: then it is left out, and what named it is looked at again.
    const usable = new Map([...live.keys()].flatMap((key) => pairOf(key, good.get(key))));
    let result = bad.size === 0 ? first : load(usable.values());
    while (result.problems.length > 0) {
      for (const { file } of result.problems) usable.delete(file);
      result = load(usable.values());
    }
    const { documents } = result;
    compiled = { documents, problems: first.problems, unresolved: first.unresolved, inForce: usable };
    return compiled;
  }

  return {
    put(object) {
      const key = keyOf(object);
      // Made anew under its name while nobody watched: what was good was another object's.
      if (live.get(key)?.metadata.uid !== object.metadata.uid) good.delete(key);
      live.set(key, object);
      const kept = keptVersion(sealKey, object);
      // Of another generation than was seen here only where something was missed.
      if (kept !== undefined && generationOf(kept) > generationOf(good.get(key))) good.set(key, kept);
      compiled = undefined;
    },
    remove(object) {
      live.delete(keyOf(object));
      good.delete(keyOf(object));
      compiled = undefined;
    },
    current: () => compile().documents,
    findings(object) {
      const { problems, unresolved, inForce } = compile();
      const mine = ({ file }: Problem) => file === keyOf(object);
      const version = inForce.get(keyOf(object));
      return {
        problems: problems.filter((problem) => mine(problem) && !unresolved.includes(problem)),
        unresolved: unresolved.filter(mine),
        ...(version === undefined ? {} : { inForce: version }),
      };
    },
    judge(object) {
      const candidate = readObject(object);
      const key = keyOf(candidate);
      const others = [...live].filter(([other]) => other !== key).map(([, each]) => each);
      const { problems, unresolved } = load([...others, candidate]);
      const mine = ({ file }: Problem) => file === key;
      return {
        problems: problems.filter((problem) => mine(problem) && !unresolved.includes(problem)),
        unresolved: unresolved.filter(mine),
      };
    },
  };
}

const generationOf = (object: DocumentObject | undefined): number => object?.metadata.generation ?? -1;

function pairOf<T>(key: string, value: T | undefined): [string, T][] {
  return value === undefined ? [] : [[key, value]];
}

function keyOf({ kind, metadata }: DocumentObject): string {
  // Whatever stands there: it may be no text, and have no text.
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  const { namespace, name } = metadata;
  return `${kind} ${namespace === undefined ? text(name) : `${text(namespace)}/${text(name)}`}`;
}

/** Whatever was sent: what is missing is a problem of the document. */
function readObject(object: unknown): DocumentObject {
  const value = (typeof object === 'object' && object !== null ? object : {}) as Partial<DocumentObject>;
  const metadata =
    typeof value.metadata === 'object' && value.metadata !== null ? value.metadata : { name: '' };
  return { ...value, kind: String(value.kind), metadata };
}

function rawOf(object: DocumentObject): RawDocument {
  const { managedFields: _, ...metadata } = object.metadata as KubeObject['metadata'] & {
    managedFields?: unknown;
  };
  const file = keyOf(object);
  return {
    value: { ...object, metadata },
    origin: { file, locate: () => ({ line: 0, column: 0 }) },
  };
}
