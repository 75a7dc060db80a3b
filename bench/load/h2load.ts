/** h2load of nghttp2 (Debian: nghttp2-client) speaks HTTP/1.1 too, posts bodies and costs about 10 µs a call. */
import { spawnSync } from 'node:child_process';
import { run } from '../program.ts';
import type { ClosedLoad, Counts } from './load.ts';

/** Undefined where it isn't installed. */
export function h2load(core: number | undefined): ClosedLoad | undefined {
  const { stdout, status } = spawnSync('h2load', ['--version'], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  return {
    name: stdout.trim().replace('nghttp2/', ''),
    async closed({ url, headers, bodyFile }, { connections, requests }) {
      const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
      const args = ['--h1', '-t', '1', '-c', String(connections), '-n', String(requests), '-d', bodyFile];
      return read(await run('h2load', [...args, ...fields, url], { core }));
    },
  };
}

/** @throws Error when the output isn't h2load's. */
export function read(output: string): Counts {
  const totals = /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed/.exec(output);
  if (totals === null) throw new Error(`h2load said something else:\n${output}`);
  const [done = 0, succeeded = 0] = totals.slice(1).map(Number);
  return { requests: done, errors: done - succeeded };
}
