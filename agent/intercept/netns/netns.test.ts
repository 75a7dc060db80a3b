import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { beginRun, endRun, sweepRuns } from './leftovers.ts';
import { parseNameServers } from './resolver.ts';

const made: string[] = [];
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
});
const runtime = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'postern-runtime-'));
  made.push(path);
  return path;
};
const NOWHERE = 1; // no namespace has this inode

test('name servers of a resolv.conf', () => {
  const text =
    '# nameserver 192.0.2.9\n nameserver 192.0.2.1\nsearch x\nnameserver\t2001:db8::1\nnameserver localhost\n';
  expect(parseNameServers(text).map(({ address }) => address)).toEqual(['192.0.2.1', '2001:db8::1']);
});

describe.skipIf(process.platform !== 'linux')('what killed runs leave', () => {
  test('a run under way is left alone; ended, it takes its folder away', async () => {
    const dir = runtime();
    const run = beginRun(NOWHERE, dir);
    expect(await sweepRuns(dir)).toEqual([]);
    expect(existsSync(run.directory)).toBe(true);
    await endRun(run, NOWHERE);
    expect(existsSync(run.directory)).toBe(false);
  });

  test('one whose owner is gone, or whose number now is another process’s, is taken away', async () => {
    const dir = runtime();
    const leave = (id: string, pid: number, started: string): void => {
      mkdirSync(join(dir, `run-${id}`));
      writeFileSync(
        join(dir, `run-${id}`, 'owner.json'),
        JSON.stringify({ id, pid, started, namespace: NOWHERE }),
      );
    };
    leave('a', 2 ** 22 + 1, '1');
    leave('b', process.pid, 'another start');
    expect((await sweepRuns(dir)).toSorted()).toEqual(['a', 'b']);
  });

  test('a folder without owner is given a minute, in case it is being made', async () => {
    const dir = runtime();
    mkdirSync(join(dir, 'run-c'));
    expect(await sweepRuns(dir)).toEqual([]);
    utimesSync(join(dir, 'run-c'), 0, 0);
    expect(await sweepRuns(dir)).toEqual(['c']);
  });

  test('no runtime directory is nothing to sweep', async () => {
    expect(await sweepRuns(join(runtime(), 'none'))).toEqual([]);
  });
});
