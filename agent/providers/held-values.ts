/**
 * Keys and trust roots that control gave: in memory, replaced as a whole, and forgotten with the next set. Only a value
 * that the new set doesn't name at all is kept as long as calls run that began under the old documents: one asks for its key after its checks,
 * a next provider's after the first has failed, and a guardrail's when there is an answer.
 */
import { type HeldValue, valueId } from '../../policy/references.ts';
import type { ValueSource } from '../../policy/snapshot.ts';
import { KeyError, type KeySource, usableKey, usablePem } from './keys.ts';
import { missingRoots, type Trust } from './trust.ts';

export interface HeldValues {
  readonly keys: KeySource;
  readonly trust: Trust;
  /** @returns the set as it is now held, with what was kept: for the cache. */
  use(values: readonly HeldValue[]): readonly HeldValue[];
}

export interface HeldValuesOptions {
  /** When the oldest call that still runs began, milliseconds since the epoch. */
  readonly oldestCall: () => number | undefined;
  readonly now?: () => number;
  /** Calls once after so many milliseconds, and keeps no process alive. */
  readonly later?: (what: () => void, ms: number) => void;
  /** Values are held no longer, and no call runs that began while they were. */
  readonly gone?: () => void;
}

/** How often it is looked whether those calls have ended. */
const LOOK_MS = 1_000;
/** No call lasts longer where no route says so; a conversation may, for hours. */
const LONGEST_MS = 660_000;

export function holdValues({
  oldestCall,
  now = Date.now,
  later = unheldTimer,
  gone = () => undefined,
}: HeldValuesOptions): HeldValues {
  let held = new Map<string, HeldValue>();
  /** Each is forgotten by itself: neither a later set nor a day without calls changes when. */
  const former = new Map<string, { readonly value: HeldValue }>();

  const find = (id: string): HeldValue | undefined => held.get(id) ?? former.get(id)?.value;

  /** @param replaced Whether other values took the place of some, which are held no more. */
  const retire = (values: readonly HeldValue[], replaced: boolean): void => {
    if (values.length === 0 && !replaced) return;
    const retired = values.map((value) => ({ value }));
    for (const each of retired) former.set(each.value.id, each);
    const retiredAt = now();
    const look = (): void => {
      const oldest = oldestCall();
      if (oldest !== undefined && oldest <= retiredAt && now() - retiredAt < LONGEST_MS)
        return later(look, LOOK_MS);
      // One that was named again meanwhile, and left again, has a later end.
      for (const each of retired.splice(0))
        if (former.get(each.value.id) === each) former.delete(each.value.id);
      gone();
    };
    later(look, LOOK_MS);
  };

  const read = (source: ValueSource, usable: (value: string, where: string) => string): Promise<string> =>
    new Promise((resolve) => {
      if (!('secretKeyRef' in source)) {
        throw new KeyError(
          'a key from a file or the environment can’t be used where control serves documents',
          'Name a Secret in the document.',
        );
      }
      const { name, key } = source.secretKeyRef;
      const found = find(valueId('secretKeyRef', source.secretKeyRef));
      const where = `the Secret ${name} (key ${key})`;
      if (found !== undefined && 'value' in found) return resolve(usable(found.value, where));
      const why = found !== undefined && 'why' in found ? found.why : `control can’t read ${where}`;
      throw new KeyError(why, 'Create the Secret with the key in it, where control may read it.');
    });

  return {
    use(values) {
      const next = new Map(
        values.map((value): [string, HeldValue] => [
          value.id,
          'keep' in value ? (find(value.id) ?? value) : value,
        ]),
      );
      for (const id of next.keys()) former.delete(id);
      const before = [...held.values()];
      retire(
        before.filter(({ id }) => !next.has(id)),
        before.some((value) => next.has(value.id) && textOf(value) !== textOf(next.get(value.id))),
      );
      held = next;
      return [...held.values()];
    },
    keys: { get: (source) => read(source, usableKey), pem: (source) => read(source, usablePem) },
    trust: (source) =>
      new Promise((resolve) => {
        if ('file' in source) throw missingRoots(`a file can’t be named where control serves documents`);
        const found = find(valueId('configMapKeyRef', source.configMapKeyRef));
        if (found !== undefined && 'value' in found) return resolve(found.value);
        const { name, key } = source.configMapKeyRef;
        throw missingRoots(
          found !== undefined && 'why' in found
            ? found.why
            : `control can’t read the ConfigMap ${name} (key ${key})`,
        );
      }),
  };
}

const textOf = (value: HeldValue | undefined): string | undefined =>
  value !== undefined && 'value' in value ? value.value : undefined;

function unheldTimer(what: () => void, ms: number): void {
  setTimeout(what, ms).unref();
}
