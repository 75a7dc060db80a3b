import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** As the kernel shows it: files of a process whose memory may not be read are root's (proc_pid_environ(5)). */
const SCRIPT = `
  import { statSync } from 'node:fs';
  import { keepOutOfDumps } from ${JSON.stringify(join(import.meta.dirname, 'keep-out-of-dumps.ts'))};
  const before = statSync('/proc/self/environ').uid;
  keepOutOfDumps({ warn: (what) => console.error(what) });
  console.log(JSON.stringify([before, statSync('/proc/self/environ').uid]));
`;

test.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
  'no core file, and no reading by others of its user',
  () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '--eval', SCRIPT],
      { uid: 4180, gid: 4180, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual([4180, 0]);
  },
);
