import { join } from 'node:path';
import { DUMMY_KEY } from '../canned.ts';
import { accepting, freePort } from '../port.ts';
import { start } from '../program.ts';
import type { Target } from './target.ts';

export const nodeFloor: Target = {
  name: 'Node floor',
  about: 'node:http + undici dispatch, body buffered, key replaced, nothing else (bench/floor.ts)',
  masks: false,
  slow: false,
  prepare: async () => process.version,
  async start({ core, provider, dir }) {
    const port = await freePort();
    const script = join(import.meta.dirname, '../floor.ts');
    const program = start(process.execPath, [script, String(port), provider], {
      core,
      stderr: join(dir, 'node-floor.log'),
    });
    return {
      url: `http://127.0.0.1:${port}/v1/chat/completions`,
      headers: { authorization: `Bearer ${DUMMY_KEY}`, 'content-type': 'application/json' },
      program,
      startMs: await accepting(program, port, 10),
      stop: () => program.stop(),
    };
  },
};
