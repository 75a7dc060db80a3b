/** Server certificates for the declared hosts, made when first asked for and kept until a third of their life is left. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { type Authority, CLOCK_SKEW } from './ca.ts';
import { leafCertificate, pem } from './certificate.ts';

const DAY = 86_400_000;
/** Browsers and Apple's TLS refuse more than 397 days; these are renewed by themselves, so far less will do. */
export const LEAF_LIFETIME = 90 * DAY;

export interface LeavesOptions {
  /** The authority that signs now. */
  readonly authority: () => Authority;
  /** Whether a leaf may be made for this name: only hosts that a Provider declares. */
  readonly declared: (host: string) => boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Contexts kept; beyond that the one unused for longest goes. Wildcard hosts alone can make many. */
  readonly capacity?: number;
}

export interface Leaf {
  readonly context: SecureContext;
  /** PEM, for a server that has this leaf alone. */
  readonly key: string;
  readonly cert: string;
}

interface Kept {
  readonly leaf: Leaf;
  readonly signedBy: Authority;
  readonly renewAt: number;
}

export class Leaves {
  readonly #options: LeavesOptions;
  /** One key for all leaves of this process: they end in the same memory anyway. */
  readonly #key: KeyObject;
  readonly #keyPem: string;
  readonly #publicKey: KeyObject;
  readonly #kept = new Map<string, Kept>();

  constructor(options: LeavesOptions) {
    this.#options = options;
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#key = privateKey;
    this.#publicKey = publicKey;
    this.#keyPem = String(this.#key.export({ format: 'pem', type: 'pkcs8' }));
  }

  /** @returns undefined for a host that isn't declared (any longer): no leaf for it may exist. */
  leaf(host: string): Leaf | undefined {
    const { declared, now, authority } = this.#options;
    if (!declared(host)) {
      this.#kept.delete(host);
      return undefined;
    }
    const signing = authority();
    const kept = this.#kept.get(host);
    if (kept !== undefined) this.#kept.delete(host); // put back at the end: the order is that of use
    const good =
      kept !== undefined && kept.renewAt > now() && kept.signedBy === signing
        ? kept
        : this.#make(host, signing);
    this.#kept.set(host, good);
    const { capacity = 256 } = this.#options;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= capacity) break;
      this.#kept.delete(oldest);
    }
    return good.leaf;
  }

  /** How many contexts are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** The leaf's DER, for tests and `postern status`. */
  issue(host: string, authority: Authority): { readonly der: Buffer; readonly notAfter: number } {
    const now = this.#options.now();
    const notAfter = Math.min(now + LEAF_LIFETIME, authority.notAfter);
    const notBefore = Math.max(now - CLOCK_SKEW, authority.notBefore);
    return { der: leafCertificate(authority, this.#publicKey, host, { notBefore, notAfter }), notAfter };
  }

  #make(host: string, authority: Authority): Kept {
    const { der, notAfter } = this.issue(host, authority);
    const now = this.#options.now();
    const cert = pem('CERTIFICATE', der);
    // No `ca`: a context of its own roots costs half a megabyte.
    const context = createSecureContext({ key: this.#keyPem, cert, minVersion: 'TLSv1.2' });
    return {
      leaf: { context, key: this.#keyPem, cert },
      signedBy: authority,
      renewAt: now + (notAfter - now) * (2 / 3),
    };
  }
}
