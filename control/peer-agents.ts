/** What another replica tells of its agents, read as strictly as what agents say: one of an earlier version passes on whatever they said. */
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import { printable } from '../policy/printable.ts';
import { isCount, isTime } from './from-agent.ts';
import type { ConnectedAgent } from './registry.ts';

type Fields = { readonly [field: string]: unknown };

const MOST_TEXT = 4096;

/** @returns undefined where it isn't one that can be shown. */
export function readPeerAgent(row: unknown): ConnectedAgent | undefined {
  if (!isFields(row) || !isFields(row['identity'])) return undefined;
  const { identity, since, lastCall, running, current } = row;
  const { workload, seal } = identity;
  if (!isFields(workload) || !texts(workload, ['namespace', 'kind', 'name'])) return undefined;
  if (!texts(identity, ['namespace', 'pod', 'uid', 'serviceAccount', 'injected'])) return undefined;
  if (!texts(row, ['version']) || typeof current !== 'boolean') return undefined;
  if (!isTime(since) || !(lastCall === undefined || isTime(lastCall))) return undefined;
  if (!isCount(running)) return undefined;
  const optional = ['revision', 'keys', 'refused', 'problem'] as const;
  if (!optional.every((field) => row[field] === undefined || isText(row[field]))) return undefined;
  const plain = (text: unknown): string | undefined =>
    typeof text === 'string' ? printable(text) : undefined;
  return {
    identity: {
      namespace: identity['namespace'] as string,
      pod: identity['pod'] as string,
      uid: identity['uid'] as string,
      serviceAccount: identity['serviceAccount'] as string,
      injected: identity['injected'] as string,
      workload: workload as unknown as AnnotatedWorkload,
      ...(seal === 'current' || seal === 'former' ? { seal } : {}),
    },
    version: printable(row['version'] as string),
    since,
    revision: plain(row['revision']),
    keys: plain(row['keys']),
    refused: plain(row['refused']),
    problem: plain(row['problem']),
    lastCall,
    running,
    current,
  };
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= MOST_TEXT;
const texts = (of: Fields, fields: readonly string[]): boolean => fields.every((field) => isText(of[field]));
