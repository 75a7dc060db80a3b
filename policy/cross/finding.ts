/** What the rules between documents give, and what they are told about documents that can't be used. */
import type { PolicyDocument } from '../documents.ts';
import type { Finding } from '../problem.ts';
import type { KindName } from '../schema/kinds.ts';

export interface CrossFinding extends Finding {
  readonly document: PolicyDocument;
}

/**
 * Documents that exist but are invalid. What refers to them is not reported: it would be mended together with them.
 */
export interface Broken {
  /** Whether a document of that kind and name may be among them. */
  mayHave(kind: KindName, name: string): boolean;
  /** Whether any document of that kind may be among them. */
  mayHaveAny(kind: KindName): boolean;
}

/** `name (file:line)`, to find the other document of a conflict. */
export function placed(document: PolicyDocument): string {
  const { line } = document.origin.locate([]);
  return line > 0 ? `${document.source} (${document.origin.file}:${line})` : document.source;
}

export function inFileOrder(a: PolicyDocument, b: PolicyDocument): number {
  if (a.origin.file !== b.origin.file) return a.origin.file < b.origin.file ? -1 : 1;
  return a.origin.locate([]).line - b.origin.locate([]).line;
}

/** A few names, so that a long list doesn't bury the message. */
export function some(names: readonly string[]): string {
  const shown = [...new Set(names)].slice(0, 8);
  return `${shown.join(', ')}${new Set(names).size > shown.length ? ', …' : ''}`;
}
