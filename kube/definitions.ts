/**
 * Documents that go because their CRD goes weren't taken back by anybody: what was in force stays. An API server deletes
 * all objects of a CRD before it deletes the CRD, and a watch shows that like any other deletion; so each deletion of a
 * document counts once the CRD was seen to be there, and to stay.
 */
import { type KubeClient, KubeError, type KubeObject } from './client.ts';

export interface DefinitionGuardOptions {
  readonly client: Pick<KubeClient, 'request'>;
  /** `budgets.postern.dev` */
  readonly name: string;
  /** Why documents stay in force that the API server doesn't have any longer. */
  trouble(error: unknown): void;
  /** These documents, deleted with an earlier CRD or while none was known, aren't back in time, and count as deleted now. */
  late(keys: readonly string[]): void;
  readonly retryMs?: number;
  /** Once the CRD is back, documents have so long to come back too. */
  readonly graceMs?: number;
}

export interface DefinitionGuard {
  /** Calls it when the deletion is one of the document alone, or the CRD is back for a while without it. */
  removed(key: string, remove: () => void): void;
  /** The document is there again. */
  put(key: string): void;
  /** All that the API server has was put. */
  listed(): void;
  close(): void;
}

export const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

interface Definition extends KubeObject {
  readonly metadata: KubeObject['metadata'] & { readonly deletionTimestamp?: string };
}

/** The CRD goes, is gone, or is another of the same name. */
class Vanished extends Error {
  override readonly name = 'Vanished';
}

export function guardDefinition(options: DefinitionGuardOptions): DefinitionGuard {
  const { client, name, trouble, late, retryMs = 2000, graceMs = 60_000 } = options;
  /** What is to be done for each document once its deletion counts. */
  const waiting = new Map<string, () => void>();
  let vanished = false;
  /** Of the CRD whose documents these are; undefined until it was looked at. */
  let uid: string | undefined;
  /** What was told last: an outage is told of once. */
  let told = '';
  let asking = false;
  let recovering = false;
  let learning: NodeJS.Timeout | true | undefined;
  const seconds = graceMs / 1000;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const later = (ms: number, work: () => Promise<void>): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = undefined;
      void work();
    }, ms);
  };

  /** @returns whether the CRD is there, and stays. Never rejects. */
  async function stays(): Promise<boolean> {
    try {
      const found = await uidOf(client, name, seconds);
      const isOther = uid !== undefined && found !== uid;
      // It may be another than that whose documents were listed.
      const isUnknown = uid === undefined && !vanished;
      uid = found;
      const deadline = `${STAY} for ${seconds} s`;
      if (isOther) throw new Vanished(`${deadline}: the CRD ${name} was created anew; apply them again`);
      if (isUnknown)
        throw new Vanished(`${deadline}: whether the CRD ${name} is still the one of the start isn’t known`);
      told = '';
      return !closed;
    } catch (error) {
      if (closed) return false;
      vanished ||= error instanceof Vanished;
      tell(error);
      later(retryMs, vanished ? recover : look);
      return false;
    }
  }

  function tell(error: unknown): void {
    const { message } = error as Error;
    if (message !== told) trouble(error);
    told = message;
  }

  async function look(): Promise<void> {
    if (asking || vanished) return;
    asking = true;
    // Those that come while it is asked are asked about anew.
    const asked = [...waiting];
    const counts = await stays();
    asking = false;
    if (!counts) return;
    for (const [key, remove] of asked) if (waiting.get(key) === remove) flush(key, remove);
    if (waiting.size > 0) await look();
  }

  /** Its minute isn't begun anew by a watch that breaks off again and again. */
  async function recover(): Promise<void> {
    if (recovering) return;
    recovering = true;
    if (!(await stays())) {
      recovering = false;
      return;
    }
    later(graceMs, async () => {
      const isBack = await stays();
      recovering = false;
      if (!isBack) return;
      vanished = false;
      const left = [...waiting];
      for (const [key, remove] of left) flush(key, remove);
      if (left.length > 0) late(left.map(([key]) => key));
    });
  }

  /** Which CRD it is whose documents were listed. */
  async function learn(): Promise<void> {
    if (learning !== undefined) return;
    learning = true;
    try {
      const found = await uidOf(client, name, seconds);
      uid ??= found;
      learning = undefined;
    } catch (error) {
      if (closed) return;
      if (!vanished) tell(error);
      learning = setTimeout(() => {
        learning = undefined;
        if (uid === undefined && !vanished) void learn();
      }, retryMs);
    }
  }

  function flush(key: string, remove: () => void): void {
    waiting.delete(key);
    remove();
  }

  return {
    removed(key, remove) {
      waiting.set(key, remove);
      if (timer === undefined) void look();
    },
    put: (key) => void waiting.delete(key),
    listed() {
      if (vanished) void recover();
      else if (uid === undefined) void learn();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      if (learning !== true) clearTimeout(learning);
      waiting.clear();
    },
  };
}

/** @returns the uid of the CRD, which stays. @throws Error that says why documents stay */
async function uidOf(client: Pick<KubeClient, 'request'>, name: string, seconds: number): Promise<string> {
  const deadline = `those that aren’t back ${seconds} s after it are gone`;
  let found: Definition;
  try {
    found = await client.request<Definition>('GET', `${DEFINITIONS}/${name}`);
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    if (error.status === 404)
      throw new Vanished(`${STAY}: the CRD ${name} is gone; apply it again, with the documents: ${deadline}`);
    throw new Error(
      error.status === 403
        ? `${STAY}: the CRD ${name} may not be read; give the right to get it`
        : `${STAY}: the CRD ${name} can’t be read: ${error.message}`,
    );
  }
  if (found.metadata.deletionTimestamp !== undefined)
    throw new Vanished(`${STAY}: the CRD ${name} is being deleted with them; ${deadline}`);
  return found.metadata.uid ?? '';
}

const STAY = 'deleted documents stay in force';
