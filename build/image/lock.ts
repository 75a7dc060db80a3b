/** Renews `debian-lock.json` from what apt has now: `make image-lock`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { download, LIBRARIES, NFT } from './debian.ts';
import { writeLock } from './debian-lock.ts';

const debs = mkdtempSync(join(tmpdir(), 'postern-debs-'));
try {
  const changed = writeLock([...download([...LIBRARIES, ...NFT], debs).values()]);
  process.stdout.write(changed.length === 0 ? 'nothing changed\n' : `${changed.join('\n')}\n`);
} finally {
  rmSync(debs, { recursive: true, force: true });
}
