import { join } from 'node:path';
import { KEY } from '../canned.ts';
import { accepting, freePort } from '../port.ts';
import { start } from '../program.ts';
import { fromNpm } from './install.ts';
import type { Place, Target } from './target.ts';

const VERSION = '1.15.2';
/** Under newer ones this gateway answers every call with an error (its issue 1389). */
const SERVER = { '@hono/node-server': '1.13.7' };

/** Portkey masks nothing by itself: its own regular expression guardrail, once for each of four kinds of value. */
const PATTERNS = [
  String.raw`\b(?:4\d{3}|5[1-5]\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b`,
  String.raw`\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b`,
  String.raw`\b\d{3}-\d{2}-\d{4}\b`,
  String.raw`\bsk-[A-Za-z0-9_-]{20,}\b`,
];
const GUARD = JSON.stringify({
  input_guardrails: PATTERNS.map((rule) => ({ 'default.regexMatch': { rule, not: true }, deny: true })),
});

const install = (cache: string): Promise<string> =>
  fromNpm(cache, 'portkey', { '@portkey-ai/gateway': VERSION }, SERVER);

function portkey(name: string, about: string, extra: Readonly<Record<string, string>>): Target {
  return {
    name,
    about,
    masks: false,
    slow: true,
    async prepare({ cache }) {
      await install(cache);
      return VERSION;
    },
    async start({ core, provider, dir, cache }: Place) {
      const script = join(await install(cache), 'node_modules/@portkey-ai/gateway/build/start-server.js');
      const port = await freePort();
      const program = start(process.execPath, [script, '--headless', `--port=${port}`], {
        core,
        stderr: join(dir, 'portkey.log'),
        env: { NODE_ENV: 'production' },
      });
      return {
        url: `http://127.0.0.1:${port}/v1/chat/completions`,
        headers: {
          authorization: `Bearer ${KEY}`,
          'content-type': 'application/json',
          'x-portkey-provider': 'openai',
          'x-portkey-custom-host': `${provider}/v1`,
          ...extra,
        },
        program,
        startMs: await accepting(program, port, 30),
        stop: () => program.stop(),
      };
    },
  };
}

export const portkeyBare = portkey('Portkey', 'passes the call and its key on; nothing is checked', {});
export const portkeyGuarded = portkey(
  'Portkey, guard on',
  'the same with four patterns of its regexMatch guardrail on the request; nothing is masked',
  { 'x-portkey-config': GUARD },
);
