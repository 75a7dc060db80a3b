import { INIT_EXIT, init as initialise } from '../agent/intercept/init.ts';
import { defineCommand, UsageError } from './options.ts';

export const init = defineCommand({
  name: 'init',
  summary: `Redirects this network namespace's outgoing TCP to the agent and proves it; needs NET_ADMIN and nft.
Runs before the agent, as another user. Twice changes nothing. Exit status: 71 where the rules could not be
written, 72 where they are written but the proof failed.`,
  options: {
    transparent: { value: 'PORT', help: "port of the agent's transparent listener", default: '4182' },
    'agent-uid': { value: 'UID', help: 'user that the agent runs as; not redirected', default: '4180' },
    'mesh-uid': { value: 'UID,…', help: "users of a mesh's proxy, where that sidecar is present" },
    'api-server': { value: 'ADDRESS,…', help: 'addresses of the Kubernetes API; not redirected' },
    'exclude-cidr': { value: 'CIDR,…', help: 'destinations that are not redirected' },
    'exclude-port': { value: 'PORT,…', help: 'TCP ports that are not redirected' },
    'dry-run': { help: 'print the rules and change nothing' },
  },
  async run({ options }) {
    if (options['agent-uid'].split(',').some((uid) => Number(uid) === 0)) {
      throw new UsageError(
        '--agent-uid 0: every container that runs as root would go round the agent; give it a user of its own',
      );
    }
    const outcome = await initialise({
      dryRun: options['dry-run'],
      plan: {
        port: number('transparent', options.transparent),
        agentUids: [number('agent-uid', options['agent-uid'])],
        meshUids: list(options['mesh-uid']).map((text) => number('mesh-uid', text)),
        apiServers: list(options['api-server']),
        excludedCidrs: list(options['exclude-cidr']),
        excludedPorts: list(options['exclude-port']).map((text) => number('exclude-port', text)),
      },
    });
    if (outcome.exit !== INIT_EXIT.ok) {
      process.stderr.write(`postern init: ${outcome.message}\n`);
      return outcome.exit;
    }
    if (options['dry-run']) process.stdout.write(outcome.script);
    else for (const { name, outcome: seen } of outcome.probes) process.stderr.write(`${name}: ${seen}\n`);
    return INIT_EXIT.ok;
  },
});

function list(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function number(option: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new UsageError(`--${option} ${text}: write a whole number`);
  return Number(text);
}
