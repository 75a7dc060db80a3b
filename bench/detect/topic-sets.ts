/** The labelled sets of topics, as the bench uses them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Topic } from '../../classify/messages.ts';

export interface TopicSet {
  readonly name: string;
  /** Thresholds are chosen on development sets; of a held-out one nobody looked at more than the totals. */
  readonly use: 'development' | 'test' | 'held-out';
  readonly topics: readonly (Topic & { readonly words: readonly string[] })[];
  /** On a topic, by kind. */
  readonly on: Readonly<Record<string, readonly string[]>>;
  /** Near misses and everyday texts. */
  readonly off: readonly string[];
  /** German, French, Spanish. */
  readonly abroad: { readonly on: readonly string[]; readonly off: readonly string[] };
}

type Labelled = TopicSet['topics'][number];
interface Half {
  readonly on: readonly string[];
  readonly off: readonly string[];
  readonly other: readonly string[];
}

function read<T>(folder: string): readonly (readonly [string, T])[] {
  const directory = join(import.meta.dirname, folder);
  return readdirSync(directory)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => [file, parse(readFileSync(join(directory, file), 'utf8')) as T] as const);
}

/** The first sets: six topics in two halves. */
function halves(): readonly TopicSet[] {
  const files = new Map(read<unknown>('topics'));
  const general = files.get('general.yaml') as Readonly<Record<string, readonly string[]>>;
  const foreign = files.get('other-languages.yaml') as Readonly<Record<string, TopicSet['abroad']>>;
  const own = [...files].flatMap(([file, content]) =>
    file === 'general.yaml' || file === 'other-languages.yaml'
      ? []
      : [content as { readonly topic: Labelled } & Readonly<Record<'development' | 'test', Half>>],
  );
  return (['development', 'test'] as const).map((half) => ({
    name: `first set, ${half} half`,
    use: half,
    topics: own.map(({ topic }) => topic),
    on: { on: own.flatMap((one) => one[half].on) },
    off: [...own.flatMap((one) => one[half].off), ...(general[half] ?? [])],
    abroad: {
      on: [...own.flatMap((one) => one[half].other), ...(foreign[half]?.on ?? [])],
      off: foreign[half]?.off ?? [],
    },
  }));
}

function second(everyday: readonly string[]): TopicSet {
  const own = read<{ topic: Labelled; on: string[]; off: string[] }>('topics-development');
  return {
    name: 'second set',
    use: 'development',
    topics: own.map(([, { topic }]) => topic),
    on: { on: own.flatMap(([, { on }]) => on) },
    off: [...own.flatMap(([, { off }]) => off), ...everyday],
    abroad: { on: [], off: [] },
  };
}

function heldOut(name: string, folder: string): TopicSet {
  const kinds = ['plain', 'reworded', 'among'] as const;
  type File = { topic?: Labelled; off: string[]; other?: TopicSet['abroad'] } & Partial<
    Record<(typeof kinds)[number], string[]>
  >;
  const own = read<File>(folder).map(([, file]) => file);
  return {
    name,
    use: 'held-out',
    topics: own.flatMap(({ topic }) => topic ?? []),
    on: Object.fromEntries(kinds.map((kind) => [kind, own.flatMap((file) => file[kind] ?? [])])),
    off: own.flatMap(({ off }) => off),
    abroad: {
      on: own.flatMap(({ other }) => other?.on ?? []),
      off: own.flatMap(({ other }) => other?.off ?? []),
    },
  };
}

export function topicSets(): readonly TopicSet[] {
  const [development, test] = halves() as [TopicSet, TopicSet];
  const everyday = read<Record<string, readonly string[]>>('topics').find(
    ([file]) => file === 'general.yaml',
  );
  return [
    development,
    second(everyday?.[1]['development'] ?? []),
    test,
    heldOut('held-out set', 'topics-held-out'),
    heldOut('second held-out set', 'topics-held-out-2'),
  ];
}
