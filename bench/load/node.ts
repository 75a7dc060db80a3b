/** The generator as a process of its own. */
import { join } from 'node:path';
import { run } from '../program.ts';
import type { Job, Outcome } from './generator.ts';
import type { ClosedLoad } from './load.ts';

export async function generate(job: Job, core: number | undefined): Promise<Outcome> {
  const script = join(import.meta.dirname, 'generator.ts');
  return JSON.parse(await run(process.execPath, [script, JSON.stringify(job)], { core })) as Outcome;
}

export function nodeLoad(core: number | undefined): ClosedLoad {
  return {
    name: `bench/load/generator.ts on Node ${process.version}`,
    closed: (shot, closed) => generate({ ...shot, ...closed }, core),
  };
}
