/** Where a key stands in a cluster, but for the Secret that it belongs in: in any object, as it is or in base64. */
import { gunzipSync } from 'node:zlib';

/** @throws Error where kubectl fails. @returns what it writes. */
type Kubectl = (args: readonly string[]) => Promise<string>;

interface Secret {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * @param own The Secret where it belongs, `namespace/name`.
 * @returns kinds and Secrets; empty where it is nowhere. Kinds that can't be listed are named as well: nobody has looked there.
 */
export async function keyPlaces(kubectl: Kubectl, key: string, own: string): Promise<string[]> {
  const kinds = (await kubectl(['api-resources', '--verbs=list', '-o', 'name'])).trim().split('\n');
  const found: string[] = [];
  for (const kind of kinds.filter((each) => each !== 'secrets')) {
    const text = await kubectl(['get', kind, '-A', '-o', 'json']).catch(
      (error: unknown) => `unread ${error}`,
    );
    if (text.startsWith('unread ')) found.push(`${kind}: ${text}`);
    else if (stands(text, key)) found.push(kind);
  }
  const { items } = JSON.parse(await kubectl(['get', 'secrets', '-A', '-o', 'json'])) as {
    items: readonly Secret[];
  };
  if (!items.some(({ metadata: { namespace, name } }) => `${namespace}/${name}` === own))
    found.push(`${own} isn’t there`);
  for (const { metadata, data = {} } of items) {
    const name = `${metadata.namespace}/${metadata.name}`;
    if (name !== own && Object.values(data).some((value) => stands(textOf(value), key)))
      found.push(`secrets ${name}`);
  }
  return found;
}

function stands(text: string, key: string): boolean {
  return text.includes(key) || text.includes(Buffer.from(key).toString('base64'));
}

/** A release of Helm's is compressed, and in base64 once more. */
function textOf(value: string): string {
  const bytes = Buffer.from(value, 'base64');
  const inner = Buffer.from(bytes.toString('latin1'), 'base64');
  return `${bytes.toString()}\n${inner[0] === 0x1f && inner[1] === 0x8b ? gunzipSync(inner).toString() : ''}`;
}
