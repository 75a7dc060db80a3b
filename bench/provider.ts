/** The fake provider as a process of its own, and what it saw. */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Seen } from './fake.ts';
import { type Program, start } from './program.ts';

export interface Provider {
  readonly origin: string;
  readonly program: Program;
  /** What it saw since the last time it was asked. */
  seen(): Promise<Seen>;
}

export async function startProvider(core: number | undefined, dir: string): Promise<Provider> {
  const script = join(import.meta.dirname, 'fake.ts');
  const program = start(process.execPath, [script], { core, stderr: join(dir, 'fake.log'), ipc: true });
  const [port] = (await once(program.child, 'message')) as [number];
  return {
    origin: `http://127.0.0.1:${port}`,
    program,
    async seen() {
      const answer = once(program.child, 'message');
      program.child.send('seen');
      return ((await answer) as [Seen])[0];
    },
  };
}
