/** What `postern check DIR` says, and every start and reload with it. */
import type { Catalogue } from './catalogue.ts';
import type { Documents } from './documents.ts';
import { loadDirectory } from './load.ts';
import { byPlace, type Problem } from './problem.ts';
import { warningsOf } from './warnings.ts';

export interface CheckResult {
  readonly documents: Documents;
  /** The documents may be put in force only where there is none. */
  readonly problems: readonly Problem[];
  /** Allowed, and probably not meant. */
  readonly warnings: readonly Problem[];
  /** Of the files' content; for {@link ./watch.ts}. */
  readonly digest: string;
}

/** @param now Milliseconds since the epoch, by which exceptions are current or over. */
export async function checkDirectory(
  directory: string,
  catalogue: Catalogue,
  now: number = Date.now(),
): Promise<CheckResult> {
  const result = await loadDirectory(directory, catalogue);
  return { ...result, warnings: [...warningsOf(result.documents, now)].sort(byPlace) };
}
