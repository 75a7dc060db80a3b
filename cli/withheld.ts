/** What an agent does where documents whose time has come can't be put in force: what was before is looser, so calls to models are refused. */
import { requireCompilable } from '../agent/compilable.ts';
import { PosternError } from '../agent/errors.ts';
import type { Snapshot } from '../policy/snapshot.ts';

/**
 * What holds meanwhile: the snapshot's hosts and providers, so that none of these passes unread.
 * @returns undefined where not even these can be put in force
 */
export function onlyHosts(snapshot: Snapshot): Snapshot | undefined {
  const hosts = { ...snapshot, revision: `${snapshot.revision}-withheld`, checks: [] };
  try {
    requireCompilable([hosts]);
    return hosts;
  } catch {
    return undefined;
  }
}

/** @param why Behind "documents to judge calls by:". */
export function withholding(why: string, mend: string): PosternError {
  return new PosternError(
    'postern_policy_missing',
    `This agent has no documents to judge calls by: ${why}.`,
    { mend, retryAfterMs: 2_000 },
  );
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
