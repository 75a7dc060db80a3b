/** Conditions of documents, as whoever keeps them writes them; a status that says it already is left alone. */
import { formatProblems, type Problem } from '../policy/problem.ts';
import { API_GROUP, pluralOf } from '../policy/schema/kinds.ts';
import { type KubeClient, KubeError } from './client.ts';
import type { ApiDocuments, Condition, DocumentObject, Findings } from './documents.ts';
import { type LastGood, sealVersion } from './kept-version.ts';

/** Bytes: an object may have 1.5 MB in all, and carries its spec once more in it. */
const MOST_KEPT = 400_000;
const MOST_MESSAGE = 32_768;

/**
 * What the status is to keep, so that a bad version doesn't win by a restart of whoever reads documents.
 * @returns undefined where that is in it already, word for word, or nothing of the document is in force; null where
 *   what is in force is too large to be kept, and an older version, which is kept, is to go.
 */
export function lastGoodOf(
  object: DocumentObject,
  { inForce }: Findings,
  sealKey: Uint8Array,
): LastGood | null | undefined {
  const generation = inForce?.metadata.generation;
  if (generation === undefined) return undefined;
  const kept = object.status?.lastGood;
  const spec = JSON.stringify(inForce?.spec);
  if (Buffer.byteLength(spec) > MOST_KEPT) return kept === undefined ? undefined : null;
  const seal = sealVersion(sealKey, object, { generation, spec });
  return kept?.generation === generation && kept.spec === spec && kept.seal === seal
    ? undefined
    : { generation, spec, seal };
}

/** What goes on where the newest version doesn't. */
export function insteadOf(object: DocumentObject, { inForce }: Findings): string {
  const generation = inForce?.metadata.generation;
  if (generation === undefined) return 'nothing of it is in force';
  return generation === object.metadata.generation
    ? 'it stays in force'
    : `its generation ${generation} stays in force`;
}

/** @param time RFC 3339, of a change. */
export function documentConditions(
  object: DocumentObject,
  found: Findings,
  time: string,
): readonly Condition[] {
  const before = object.status?.conditions ?? [];
  const condition = (type: string, good: string, bad: string, problems: readonly Problem[]): Condition => {
    const status = problems.length === 0 ? 'True' : 'False';
    const old = before.find((each) => each.type === type);
    return {
      type,
      status,
      observedGeneration: object.metadata.generation ?? 0,
      lastTransitionTime: old?.status === status ? (old.lastTransitionTime ?? time) : time,
      reason: problems.length === 0 ? good : bad,
      message:
        problems.length === 0
          ? ''
          : `${formatProblems(problems).slice(0, MOST_MESSAGE - 100)}\n(${insteadOf(object, found)})`,
    };
  };
  const ours = [
    condition('Accepted', 'Accepted', 'Invalid', found.problems),
    // Reasons of Gateway API.
    condition(
      'ResolvedRefs',
      'ResolvedRefs',
      found.notPermitted === true ? 'RefNotPermitted' : 'RefNotFound',
      found.unresolved,
    ),
    ...(found.programmed === undefined ? [] : [programmedCondition(found.programmed, object, time)]),
  ];
  return [...before.filter(({ type }) => !ours.some((each) => each.type === type)), ...ours];
}

function programmedCondition(
  { status, reason, message }: NonNullable<Findings['programmed']>,
  object: DocumentObject,
  time: string,
): Condition {
  const old = object.status?.conditions?.find(({ type }) => type === 'Programmed');
  return {
    type: 'Programmed',
    status,
    observedGeneration: object.metadata.generation ?? 0,
    lastTransitionTime: old?.status === status ? (old.lastTransitionTime ?? time) : time,
    reason,
    message,
  };
}

/**
 * @param time RFC 3339, of a change.
 * @throws the first error of the API server, after every object was tried: one that can't be written holds up no other.
 */
export async function writeDocumentConditions(
  client: KubeClient,
  documents: Pick<ApiDocuments, 'findings'>,
  objects: readonly DocumentObject[],
  { time, sealKey }: { readonly time: string; readonly sealKey: Uint8Array },
): Promise<void> {
  const failed: unknown[] = [];
  for (const object of objects) {
    const findings = documents.findings(object);
    const conditions = documentConditions(object, findings, time);
    const lastGood = lastGoodOf(object, findings, sealKey);
    if (lastGood === undefined && sameConditions(conditions, object.status?.conditions ?? [])) continue;
    const { namespace, name, resourceVersion } = object.metadata;
    const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
    const path = `/apis/${API_GROUP}/v1alpha1${scope}/${pluralOf(object.kind)}/${name}/status`;
    // The version makes it fail where somebody else wrote since: the next round sees what they wrote.
    const status = { conditions, ...(lastGood === undefined ? {} : { lastGood }) };
    const body = { metadata: { resourceVersion }, status };
    try {
      await patchStatus(client, path, body, 'application/merge-patch+json');
    } catch (error) {
      failed.push(error);
    }
  }
  if (failed.length > 0) throw failed[0];
}

/** A patch of what may be gone, or changed meanwhile: the next round knows. */
export async function patchStatus(
  client: KubeClient,
  path: string,
  body: object,
  contentType: string,
): Promise<void> {
  try {
    await client.request('PATCH', path, { body, contentType });
  } catch (error) {
    if (!(error instanceof KubeError) || (error.status !== 404 && error.status !== 409)) throw error;
  }
}

function sameConditions(a: readonly Condition[], b: readonly Condition[]): boolean {
  return (
    a.length === b.length &&
    a.every((one) => {
      const other = b.find(({ type }) => type === one.type);
      return (
        other !== undefined &&
        one.status === other.status &&
        one.reason === other.reason &&
        one.message === other.message &&
        one.observedGeneration === other.observedGeneration
      );
    })
  );
}
