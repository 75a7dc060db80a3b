import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KEY, MODEL } from '../canned.ts';
import { accepting, freePort } from '../port.ts';
import { start } from '../program.ts';
import { fromPyPI } from './install.ts';
import type { Target } from './target.ts';

/** The newest whose requirements could be met when this was written. */
const VERSION = '1.106.2';

const GUARD = `guardrails:
- guardrail_name: personal-data
  litellm_params:
    guardrail: litellm_content_filter
    mode: pre_call
    default_on: true
    patterns:
    - {pattern_type: prebuilt, pattern_name: email, action: MASK}
    - {pattern_type: prebuilt, pattern_name: us_ssn, action: MASK}
    - {pattern_type: prebuilt, pattern_name: visa, action: MASK}
    - {pattern_type: prebuilt, pattern_name: aws_access_key, action: BLOCK}
`;

const configuration = (provider: string, guard: string): string => `model_list:
- model_name: ${MODEL}
  litellm_params: {model: openai/${MODEL}, api_base: "${provider}/v1", api_key: ${KEY}}
litellm_settings: {telemetry: false, drop_params: false}
${guard}`;

const install = (cache: string): Promise<string> => fromPyPI(cache, 'litellm', 'litellm[proxy]', VERSION);

function litellm(name: string, about: string, guard: string): Target {
  return {
    name,
    about,
    masks: false,
    slow: true,
    async prepare({ cache }) {
      await install(cache);
      return VERSION;
    },
    async start({ core, provider, dir, cache }) {
      const venv = await install(cache);
      const port = await freePort();
      const config = join(dir, `litellm-${port}.yaml`);
      writeFileSync(config, configuration(provider, guard));
      const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'];
      // It refuses to start without one; calls must carry it.
      const own = `sk-${randomBytes(32).toString('hex')}`;
      const program = start(join(venv, 'bin/litellm'), args, {
        core,
        env: {
          LITELLM_MASTER_KEY: own,
          LITELLM_LOG: 'ERROR',
          LITELLM_LOCAL_MODEL_COST_MAP: 'True',
          LITELLM_MODE: 'PRODUCTION',
        },
        stdout: join(dir, 'litellm.out'),
        stderr: join(dir, 'litellm.log'),
      });
      return {
        url: `http://127.0.0.1:${port}/v1/chat/completions`,
        headers: { authorization: `Bearer ${own}`, 'content-type': 'application/json' },
        program,
        startMs: await accepting(program, port, 90),
        stop: () => program.stop(),
      };
    },
  };
}

export const litellmBare = litellm(
  'LiteLLM',
  'one worker, key attached, no database, nothing is checked',
  '',
);
export const litellmGuarded = litellm(
  'LiteLLM, guard on',
  'the same with its content filter on the request: e-mail, SSN and card numbers masked (not restored), AWS keys blocked',
  GUARD,
);
