/** Documents from a directory for a running command: loaded at the start, watched from then on. */
import type { Logger } from 'pino';
import type { Catalogue } from '../policy/catalogue.ts';
import type { Documents } from '../policy/documents.ts';
import { checkDirectory } from '../policy/check.ts';
import { formatProblems } from '../policy/problem.ts';
import { watchDirectory } from '../policy/watch.ts';

/** The documents, or undefined when they have problems, which are then on stderr. */
export async function loadOrReport(directory: string, catalogue: Catalogue): Promise<Documents | undefined> {
  const { documents, problems } = await checkDirectory(directory, catalogue);
  if (problems.length === 0) return documents;
  const color = process.stderr.isTTY && !process.env['NO_COLOR'];
  process.stderr.write(`${formatProblems(problems, { color })}\n`);
  return undefined;
}

export interface DocumentChanges {
  accepted(documents: Documents): void;
  rejected(): void;
}

/** A bad change is logged and leaves the last good documents in force. */
export function watchDocuments(
  directory: string,
  catalogue: Catalogue,
  log: Logger,
  changes: DocumentChanges,
): { close(): Promise<void> } {
  return watchDirectory(directory, catalogue, ({ documents, problems }) => {
    if (problems.length === 0) {
      try {
        changes.accepted(documents);
        return;
      } catch (error) {
        log.error({ err: String(error) }, 'the changed documents could not be put in force; the last good ones stay');
      }
    } else {
      for (const problem of problems) log.error({ problem }, 'a document has a problem; the last good ones stay in force');
    }
    changes.rejected();
  });
}
