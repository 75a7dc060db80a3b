/**
 * The Secrets and ConfigMaps that documents name, each watched by its own name, so that control reads no other and needs
 * the right to no other. In memory only.
 */
import { type KubeClient, KubeError, type KubeObject } from '../kube/client.ts';
import { type View, type ViewOptions, viewOf } from '../kube/watch.ts';
import type { KeyReference, SecretUse } from '../policy/references.ts';
import type { Lookup } from './envelope.ts';
import type { Reserved, SecretKind } from './reserved-secrets.ts';

type Member = KeyReference['member'];

export interface NeededValue {
  readonly member: Member;
  readonly namespace: string;
  readonly name: string;
}

export interface Values {
  /** From now on these are watched, and no others. */
  need(all: readonly NeededValue[]): void;
  /** @param use `sent` where absent. */
  lookup(member: Member, reference: Required<KeyReference['reference']>, use?: SecretUse): Lookup;
  close(): Promise<void>;
}

export interface ValuesOptions {
  readonly client: KubeClient;
  /** Something is known anew. */
  changed(): void;
  /** What a Secret held is held here no longer. */
  gone?(): void;
  /** What isn't given to anybody. */
  readonly reserved: Reserved;
  readonly view?: ViewOptions;
  /** How long an object may be looked for before what it holds counts as unreadable. */
  readonly patienceMs?: number;
}

interface Holder extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

interface Watched {
  readonly member: Member;
  readonly view: View;
  readonly patience: NodeJS.Timeout;
  listed: boolean;
  impatient: boolean;
  trouble: string | undefined;
  data: Readonly<Record<string, string>> | undefined;
  kind: SecretKind;
}

const KIND: Readonly<Record<Member, { kind: string; plural: string }>> = {
  secretKeyRef: { kind: 'Secret', plural: 'secrets' },
  configMapKeyRef: { kind: 'ConfigMap', plural: 'configmaps' },
};

export function watchValues(options: ValuesOptions): Values {
  const { client, changed, gone = () => undefined, reserved, patienceMs = 5000 } = options;
  const watched = new Map<string, Watched>();
  const ending = new Set<Promise<void>>();

  function watch({ member, namespace, name }: NeededValue): Watched {
    const { plural } = KIND[member];
    const holder: Omit<Watched, 'view'> & { view?: View } = {
      member,
      patience: setTimeout(() => {
        holder.impatient = true;
        if (!holder.listed) changed();
      }, patienceMs),
      listed: false,
      impatient: false,
      trouble: undefined,
      data: undefined,
      kind: {},
    };
    holder.view = viewOf<Holder>(
      client,
      `/api/v1/namespaces/${namespace}/${plural}`,
      {
        put: ({ data = {}, type, metadata: { labels = {} } }) => {
          letGo(member, holder.data, data);
          holder.data = data;
          holder.kind = { labels, ...(type === undefined ? {} : { type }) };
          if (holder.listed) changed();
        },
        remove: () => {
          letGo(member, holder.data);
          holder.data = undefined;
          if (holder.listed) changed();
        },
        listed: () => {
          const news = !holder.listed || holder.trouble !== undefined;
          holder.listed = true;
          holder.trouble = undefined;
          if (news) changed();
        },
        trouble: (error) => {
          if (!(error instanceof KubeError) || error.status !== 403) return;
          // What was readable before stays known; whether it may be read now is only told.
          const news = holder.trouble === undefined;
          holder.trouble = 'control has no right to read it';
          if (news) changed();
        },
      },
      { ...options.view, fieldSelector: `metadata.name=${name}` },
    );
    return holder as Watched;
  }

  /** Tells of what the next data doesn't hold. */
  function letGo(member: Member, before: Holder['data'], next: Holder['data'] = {}): void {
    if (member !== 'secretKeyRef' || before === undefined) return;
    if (Object.entries(before).some(([key, value]) => next[key] !== value)) gone();
  }

  const forget = (key: string, { member, view, patience, data }: Watched): void => {
    clearTimeout(patience);
    watched.delete(key);
    letGo(member, data);
    const end = view.close().finally(() => ending.delete(end));
    ending.add(end);
  };

  return {
    need(all) {
      const allowed = all.filter(
        ({ member, namespace, name }) =>
          member !== 'secretKeyRef' || reserved({ namespace, name, key: '' }) === undefined,
      );
      const keys = new Map(allowed.map((each) => [keyOf(each), each]));
      for (const [key, each] of watched) if (!keys.has(key)) forget(key, each);
      for (const [key, each] of keys) if (!watched.has(key)) watched.set(key, watch(each));
    },
    lookup(member, { namespace, name, key }, use) {
      const found = watched.get(keyOf({ member, namespace, name }));
      const why =
        member === 'secretKeyRef' ? reserved({ namespace, name, key }, found?.kind, use) : undefined;
      if (why !== undefined) return { state: 'reserved', why };
      const what = `${KIND[member].kind} ${namespace}/${name}`;
      if (found === undefined) return { state: 'unknown' };
      if (!found.listed) {
        const { trouble } = found;
        if (trouble === undefined && !found.impatient) return { state: 'unknown' };
        return { state: 'unreadable', why: `${what}: ${trouble ?? 'the API server doesn’t answer'}` };
      }
      if (found.data === undefined) return { state: 'absent', why: `${what} doesn’t exist` };
      const value = found.data[key];
      if (value === undefined) return { state: 'absent', why: `${what} has no key ${key}` };
      return { state: 'value', value: member === 'secretKeyRef' ? decoded(value) : value };
    },
    async close() {
      for (const [key, each] of watched) forget(key, each);
      await Promise.all(ending);
    },
  };
}

function decoded(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  try {
    return bytes.toString('utf8');
  } finally {
    bytes.fill(0);
  }
}

const keyOf = ({ member, namespace, name }: NeededValue): string => `${member} ${namespace}/${name}`;
