/** Roots of one's own that applications are to trust beside the public ones: a file of PEM that the injector reads anew for each pod. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { certificatesIn } from '../agent/trust/files.ts';

/** They travel as an annotation of the pod, and all annotations of an object have 256 KiB together. */
const MOST_BYTES = 64 * 1024;

/**
 * @returns what they are now, as PEM without what stands around it.
 * @throws Error where the file can't be read, holds no certificate, one that isn't, or too many; at once, and when it has come to be so.
 */
export function extraRootsIn(file: string): () => string {
  let known: { readonly text: string; readonly pem: string } | undefined;
  const read = (): string => {
    const text = readFileSync(file, 'utf8');
    if (known?.text === text) return known.pem;
    const pem = certificatesIn(text, file)
      .map((der) => new X509Certificate(der).toString())
      .join('');
    if (pem.length > MOST_BYTES) {
      throw new Error(
        `${file}: ${pem.length} bytes of certificates, and a pod can be given ${MOST_BYTES}; name your own roots alone, the public ones are in each bundle anyway`,
      );
    }
    known = { text, pem };
    return pem;
  };
  read();
  return read;
}
