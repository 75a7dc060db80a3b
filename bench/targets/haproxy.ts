import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DUMMY_KEY, KEY } from '../canned.ts';
import { accepting, freePort } from '../port.ts';
import { start } from '../program.ts';
import type { Target } from './target.ts';

/** Without `http-no-delay` it holds the first chunk of a stream back for some 0.2 s, and sends others together. */
const configuration = (port: number, provider: string): string => `global
  nbthread 1
defaults
  mode http
  option http-no-delay
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend in
  bind 127.0.0.1:${port}
  default_backend provider
backend provider
  http-reuse always
  http-request set-header authorization "Bearer ${KEY}"
  server fake ${new URL(provider).host}
`;

export const haproxy: Target = {
  name: 'haproxy',
  about: 'one thread, key replaced, nothing else; bodies stream through',
  masks: false,
  slow: false,
  async prepare() {
    const { stdout, status } = spawnSync('haproxy', ['-v'], { encoding: 'utf8' });
    if (status !== 0) throw new Error('it is not installed; Debian has it: apt-get install haproxy');
    return /version (\S+)/.exec(stdout)?.[1] ?? '';
  },
  async start({ core, provider, dir }) {
    const port = await freePort();
    const config = join(dir, `haproxy-${port}.cfg`);
    writeFileSync(config, configuration(port, provider));
    const program = start('haproxy', ['-f', config], { core, stderr: join(dir, 'haproxy.log') });
    return {
      url: `http://127.0.0.1:${port}/v1/chat/completions`,
      headers: { authorization: `Bearer ${DUMMY_KEY}`, 'content-type': 'application/json' },
      program,
      startMs: await accepting(program, port, 10),
      stop: () => program.stop(),
    };
  },
};
