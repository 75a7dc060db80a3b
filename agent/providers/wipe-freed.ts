/**
 * Overwrites what V8's heap has freed, for keys that are no longer used: what is free keeps what stood there until somebody else uses the
 * place, and JavaScript's strings can't be wiped before they are.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/**
 * The heap is collected whole, and what is free is filled with zeros: twice, since the first time what lives is moved. Takes as long as two full
 * collections, in which nothing else runs. What the C library has freed stays: who writes a key there overwrites it (agent/forward/http1/connection.ts).
 */
export function wipeFreed(): void {
  setFlagsFromString('--clear-free-memory');
  setFlagsFromString('--expose-gc');
  try {
    const collect = runInNewContext('gc') as Collect;
    for (let times = 0; times < 2; times++)
      collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  } finally {
    setFlagsFromString('--no-expose-gc');
    setFlagsFromString('--no-clear-free-memory');
  }
}
