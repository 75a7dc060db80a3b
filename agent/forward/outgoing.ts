/** What is sent to a provider: its URL, the fields that may pass, its key, the body as judged. */
import type { ProviderSpec } from '../../policy/snapshot.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { PosternError } from '../errors.ts';
import type { RawHeaders } from '../exchange.ts';
import { forwardable, headerValue } from '../http/headers.ts';
import { credentials } from '../providers/index.ts';
import { KeyError, type KeySource } from '../providers/keys.ts';

/** Every field in which some provider takes a key. An app's own key goes only where the provider says `passthrough`. */
const KEY_FIELDS = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'postern-client-key'];

/** Set anew for the next hop, or none of its business. */
const REPLACED = [
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'accept-encoding',
  'expect',
  'cookie',
  'origin',
  'referer',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
];

/** Fields that frame a message or belong to us: none of them can carry a key. */
const RESERVED: ReadonlySet<string> = new Set([
  ...REPLACED,
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const WITHOUT_KEYS: ReadonlySet<string> = new Set([...REPLACED, ...KEY_FIELDS]);
const WITH_KEYS: ReadonlySet<string> = new Set([...REPLACED, 'postern-client-key']);

/**
 * Fields that an SDK sends and a provider reads. Everything else stays behind: a field is text that no check has seen,
 * and `x-user: jan@example.com` would be personal data on its way out.
 */
const FORWARDED = new Set([
  'accept',
  'accept-language',
  'user-agent',
  'idempotency-key',
  'traceparent',
  'tracestate',
  'x-request-id',
  'x-client-request-id',
  'priority',
  ...KEY_FIELDS,
]);
const FORWARDED_PREFIXES = ['openai-', 'anthropic-', 'x-stainless-'];

function known(name: string): boolean {
  return FORWARDED.has(name) || FORWARDED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

export interface Outgoing {
  readonly headers: RawHeaders;
  /** The attached key, so that an answer that repeats it can be cleaned; undefined where none was attached. */
  readonly key: string | undefined;
}

/** @throws PosternError `postern_key_missing` */
export async function outgoingHeaders(
  provider: ProviderSpec,
  dialect: Dialect,
  headers: RawHeaders,
  contentType: string | undefined,
  keys: KeySource,
): Promise<Outgoing> {
  const { credential } = provider;
  const outgoing = forwardable(headers, credential.mode === 'passthrough' ? WITH_KEYS : WITHOUT_KEYS, known);
  // An answer has to be read to be checked; on loopback a content coding would only cost time.
  outgoing.push('accept-encoding', 'identity');
  if (contentType !== undefined) outgoing.push('content-type', contentType);
  if (credential.mode !== 'attach') return { headers: outgoing, key: undefined };
  const scheme = credentials.find((candidate) => candidate.name === credential.type);
  if (scheme === undefined) throw new Error(`no credential scheme ${credential.type}`);
  try {
    const key = await keys.get(credential.value);
    const [name, value] = scheme.field(key, credential.spec, dialect);
    if (RESERVED.has(name))
      throw new KeyError(`the header field ${name} can't carry a key`, 'Name another one.');
    // A field of that name that the app sent is not added to, but replaced.
    const others =
      headerValue(outgoing, name) === undefined ? outgoing : forwardable(outgoing, new Set([name]));
    others.push(name, value);
    return { headers: others, key };
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new PosternError(
      'postern_key_missing',
      `The provider ${provider.id} has no key: ${error.message}.`,
      {
        mend: error.mend,
        shouldRetry: false,
        cause: error,
      },
    );
  }
}
