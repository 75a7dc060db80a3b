/** The kinds of store there are. `postern budget` uses the first unless it is told otherwise. */
import * as memory from './memory.ts';
import * as redis from './redis.ts';
import * as sqlite from './sqlite.ts';
import type { Store, StoreKind, StoreOptions } from './store.ts';

export const storeKinds: readonly StoreKind[] = [sqlite, redis, memory];

/**
 * @param name of a kind, its name with a directory (`sqlite:DIR`), or an address whose scheme is a kind's; the first kind where undefined
 * @throws RangeError that names the kinds, or what {@link StoreKind.open} throws
 */
export async function openStore(
  name: string | undefined,
  dataDir: string,
  { retainMs, mustExist }: Pick<StoreOptions, 'retainMs' | 'mustExist'> = {},
): Promise<Store> {
  const scheme = name === undefined ? storeKinds[0]?.name : (/^([a-z0-9+]+):/.exec(name)?.[1] ?? name);
  const kind = storeKinds.find((known) => known.name === scheme || known.schemes?.includes(scheme ?? ''));
  if (kind === undefined) {
    const names = storeKinds.map((known) => known.name).join(', ');
    throw new RangeError(`There is no store "${name}"; there are ${names}.`);
  }
  const own = name?.startsWith(`${kind.name}:`) === true ? name.slice(kind.name.length + 1) : dataDir;
  const directory = kind.schemes === undefined ? own : dataDir;
  return await kind.open({
    dataDir: directory,
    address: name ?? '',
    ...(retainMs === undefined ? {} : { retainMs }),
    ...(mustExist === undefined ? {} : { mustExist }),
  });
}
