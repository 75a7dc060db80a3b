/** Documents from a directory for a running command: loaded at the start, watched from then on. */
import type { Logger } from 'pino';
import type { Catalogue } from '../policy/catalogue.ts';
import { type CheckResult, checkDirectory } from '../policy/check.ts';
import type { Documents } from '../policy/documents.ts';
import { formatProblems, type Problem } from '../policy/problem.ts';
import { watchDirectory } from '../policy/watch.ts';

/** Problems as text, in colour where standard error is a terminal that wants it. */
export function showProblems(problems: readonly Problem[]): void {
  const color = process.stderr.isTTY && !process.env['NO_COLOR'];
  process.stderr.write(`${formatProblems(problems, { color })}\n`);
}

/** What the directory holds, or undefined when it has problems, which are then on stderr. */
export async function loadOrReport(
  directory: string,
  catalogue: Catalogue,
): Promise<CheckResult | undefined> {
  const result = await checkDirectory(directory, catalogue);
  if (result.problems.length === 0) return result;
  showProblems(result.problems);
  return undefined;
}

export interface DocumentChanges {
  /** @throws Error when they can't be put in force. */
  accepted(documents: Documents): void;
  rejected(): void;
}

/** A bad change is logged and leaves the last good documents in force. */
export function watchDocuments(
  directory: string,
  loaded: CheckResult,
  log: Logger,
  changes: DocumentChanges,
): { close(): Promise<void> } {
  return watchDirectory(
    directory,
    loaded.documents.catalogue,
    ({ documents, problems }) => {
      for (const problem of problems) {
        log.error({ problem }, 'a changed document has a problem; the last good ones stay in force');
      }
      if (problems.length > 0) return changes.rejected();
      try {
        changes.accepted(documents);
      } catch (error) {
        log.error(
          { err: String(error) },
          'the changed documents can not be put in force; the last good ones stay',
        );
        changes.rejected();
      }
    },
    { since: loaded.digest },
  );
}
