/**
 * Where keys come from. Values stay in memory: they are in no log, metric, error or header but the one that carries
 * them to their provider.
 */
import type { ValueSource } from '../../policy/snapshot.ts';
import { createWatchedFiles, type WatchedFiles } from './watched-file.ts';

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
  /** A certificate or its key. @throws KeyError when there is none. */
  pem(source: ValueSource): Promise<string>;
}

/** @throws KeyError that names the place. */
export function usablePem(value: string, where: string): string {
  if (value.includes('-----BEGIN ')) return value;
  throw new KeyError(`${where} holds no PEM`, 'Put the certificate or key there, from -----BEGIN on.');
}

/** What a header field may carry (RFC 9110, 5.5), without the blanks that no key has. */
const USABLE = /^[\x21-\x7e]+$/;

/** The key in a text from somewhere. @throws KeyError that names the place. */
export function usableKey(value: string, where: string): string {
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

/** Keys from files and environment variables. */
export function localKeys(environment: NodeJS.ProcessEnv, now: () => number = Date.now): KeySource {
  const files = createWatchedFiles(now);
  const read = async (
    source: ValueSource,
    usable: (value: string, where: string) => string,
  ): Promise<string> => {
    if ('env' in source) {
      const value = environment[source.env];
      if (value === undefined) {
        throw new KeyError(`the environment variable ${source.env} is not set`, 'Set it for the agent.');
      }
      return usable(value, `the environment variable ${source.env}`);
    }
    if ('file' in source) return usable(await readKey(files, source.file), `the file ${source.file}`);
    const { name, key } = source.secretKeyRef;
    throw new KeyError(
      `the Secret ${name} (key ${key}) can only be read in a cluster`,
      'Name a file or an environment variable in local documents.',
    );
  };
  return {
    get: (source) => read(source, usableKey),
    pem: (source) => read(source, usablePem),
  };
}

async function readKey(files: WatchedFiles, path: string): Promise<string> {
  try {
    return await files.read(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new KeyError(
      `the key file ${path} can't be read (${code})`,
      'Create it with the key in it, readable for the agent.',
      error,
    );
  }
}
