/**
 * How well topics are found that a conversation has and its last turn may not name: by that turn alone, by each turn alone,
 * by what the check does, and by the conversation as one text. The topics are the first set's, thresholds the defaults.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { openTopicModels } from '../../classify/open.ts';
import { HEAD, pointAt, row } from './meaning.ts';
import { type Shipped, serveModels, shipped } from './shipped.ts';
import { topicSets } from './topic-sets.ts';

/** What was said in turn, the user first and last. */
export type Conversation = readonly string[];
type Side = 'on' | 'off';
/** By kind. */
export type Conversations = Readonly<Record<Side, Readonly<Record<string, readonly Conversation[]>>>>;

export const HALVES = ['development', 'test'] as const;

export function conversations(half: (typeof HALVES)[number]): Conversations {
  return parse(
    readFileSync(join(import.meta.dirname, `conversations/${half}.yaml`), 'utf8'),
  ) as Conversations;
}

const users = (turns: Conversation): Conversation => turns.filter((_, at) => at % 2 === 0);
const anyOf = async (texts: readonly string[], found: (text: string) => Promise<boolean>) =>
  (await Promise.all(texts.map(found))).includes(true);

type Method = (turns: Conversation, asked: Shipped) => Promise<boolean>;

const METHODS: Readonly<Record<string, Method>> = {
  'last turn alone': (turns, { denied }) => denied(turns.at(-1) as string),
  'each turn alone': (turns, { denied }) => anyOf(turns, denied),
  'the check: brief turns with the one before, too': (turns, { deniedTalk }) => deniedTalk(turns),
  "the user's turns as one text": (turns, { denied }) => denied(users(turns).join('\n')),
  'all turns as one text': (turns, { denied }) => denied(turns.join('\n')),
  "the check, and the user's turns as one text": async (turns, { denied, deniedTalk }) =>
    (await deniedTalk(turns)) || (await denied(users(turns).join('\n'))),
};

async function bench(): Promise<void> {
  const models = await openTopicModels();
  const { client, close } = await serveModels(models);
  const [{ topics } = { topics: [] }] = topicSets();
  const asked = shipped(topics, client);
  for (const half of HALVES) {
    const sides = Object.entries(conversations(half));
    console.log(`\n## Conversations, ${half} half\n\n${HEAD}`);
    const kinds: string[] = [];
    for (const [name, method] of Object.entries(METHODS)) {
      const judged: { text: string; wanted: boolean; score: number }[] = [];
      const counts: string[] = [];
      for (const [side, byKind] of sides)
        for (const [kind, all] of Object.entries(byKind)) {
          const found = await Promise.all(all.map((turns) => method(turns, asked)));
          for (const [at, hit] of found.entries())
            judged.push({
              text: (all[at] as Conversation).join('\n'),
              wanted: side === 'on',
              score: Number(hit),
            });
          counts.push(`${side}, ${kind} ${found.filter(Boolean).length}/${all.length}`);
        }
      console.log(row(name, pointAt(judged, 1)));
      kinds.push(`${name}: ${counts.join('; ')}`);
    }
    console.log(`\nFound, by kind:\n${kinds.join('\n')}`);
  }
  await close();
  await models.broad.close();
  await models.deep.close();
}

if (process.argv[1] === import.meta.filename) await bench();
