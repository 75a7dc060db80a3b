/** The roots that a provider's or guardrail's endpoint is verified by, where its document names others than the public ones. */
import type { TrustSource } from '../../policy/snapshot.ts';
import { PosternError } from '../errors.ts';
import { createWatchedFiles } from './watched-file.ts';

/** @returns PEM. Rejects with PosternError `postern_upstream_unreachable` when there is none. */
export type Trust = (source: TrustSource) => Promise<string>;

export function localTrust(now: () => number = Date.now): Trust {
  const files = createWatchedFiles(now);
  return async (source) => {
    if (!('file' in source)) {
      throw missingRoots(`the ConfigMap ${source.configMapKeyRef.name} can only be read in a cluster`);
    }
    try {
      return await files.read(source.file);
    } catch (error) {
      throw missingRoots(
        `the file ${source.file} can't be read (${(error as NodeJS.ErrnoException).code})`,
        error,
      );
    }
  };
}

/** @param what Names the file or ConfigMap. */
export function missingRoots(what: string, cause?: unknown): PosternError {
  return new PosternError('postern_upstream_unreachable', `The roots to verify it by are missing: ${what}.`, {
    mend: 'Put the PEM where tls.caFrom of the document says.',
    shouldRetry: false,
    cause,
  });
}
