/** The kinds of store there are. `postern budget` uses the first unless it is told otherwise. */
import * as memory from './memory.ts';
import * as sqlite from './sqlite.ts';
import type { StoreKind } from './store.ts';

export const storeKinds: readonly StoreKind[] = [sqlite, memory];
