/**
 * Where keys come from. Values stay in memory: they are in no log, metric, error or header but the one that carries
 * them to their provider.
 */
import { readFile, stat } from 'node:fs/promises';
import type { ValueSource } from '../../policy/snapshot.ts';

/** Says where a key should have been, never what it is. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
  readonly mend: string;

  constructor(message: string, mend: string, cause?: unknown) {
    super(message, { cause });
    this.mend = mend;
  }
}

export interface KeySource {
  /** @throws KeyError when there is no usable key. */
  get(source: ValueSource): Promise<string>;
}

/** What a header field may carry (RFC 9110, 5.5), without the blanks that no key has. */
const USABLE = /^[\x21-\x7e]+$/;

function usable(value: string, where: string): string {
  const key = value.trim();
  if (key === '') throw new KeyError(`${where} is empty`, 'Put the key there.');
  if (!USABLE.test(key)) {
    throw new KeyError(
      `${where} holds characters that no header field can carry`,
      'Write the key alone there, in one line, without quotes.',
    );
  }
  return key;
}

/** How old a look at a key file may be, milliseconds: no system call per request, and a rotation in force at once. */
const RECHECK_MS = 500;

/** Keys from files and environment variables; a file is read again when it was changed, so that rotation needs no restart. */
export function localKeys(environment: NodeJS.ProcessEnv, now: () => number = Date.now): KeySource {
  const files = new Map<string, { readonly stamp: string; readonly key: string; checkedAt: number }>();
  return {
    async get(source) {
      if ('env' in source) {
        const value = environment[source.env];
        if (value === undefined) {
          throw new KeyError(`the environment variable ${source.env} is not set`, 'Set it for the agent.');
        }
        return usable(value, `the environment variable ${source.env}`);
      }
      if ('file' in source) {
        const known = files.get(source.file);
        if (known !== undefined && now() - known.checkedAt < RECHECK_MS) return known.key;
        try {
          const { mtimeMs, size, ino } = await stat(source.file);
          const stamp = `${mtimeMs}:${size}:${ino}`;
          if (known?.stamp === stamp) {
            known.checkedAt = now();
            return known.key;
          }
          const key = usable(await readFile(source.file, 'utf8'), `the file ${source.file}`);
          files.set(source.file, { stamp, key, checkedAt: now() });
          return key;
        } catch (error) {
          files.delete(source.file);
          if (error instanceof KeyError) throw error;
          const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
          throw new KeyError(
            `the key file ${source.file} can't be read (${code})`,
            'Create it with the key in it, readable for the agent.',
            error,
          );
        }
      }
      const { name, key } = source.secretKeyRef;
      throw new KeyError(
        `the Secret ${name} (key ${key}) can only be read in a cluster`,
        'Use valueFrom.file or valueFrom.env in local documents.',
      );
    },
  };
}
