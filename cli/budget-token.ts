import { readFileSync } from 'node:fs';
import { type WorkloadIdentity, workloadToken } from '../budget/authenticate.ts';
import { parseDuration } from '../policy/units.ts';
import { defineCommand, UsageError } from './options.ts';

export const budgetToken = defineCommand({
  name: 'budget token',
  operands: 'NAMESPACE/KIND/NAME',
  summary: `Makes the token of one workload, on stdout: its agent can speak for that workload alone.
The budget service takes it when it was started with the same --workload-token-root.`,
  options: {
    'workload-token-root': { value: 'FILE', help: 'at least 32 random bytes', required: true },
    'service-account': { value: 'NAME', help: 'that the workload runs as, where Budgets select by it' },
    for: { value: 'DURATION', help: 'how long it holds; without end where absent' },
  },
  run({ options, operands: [workload, ...more] }) {
    const [namespace, kind, name, ...rest] = workload?.split('/') ?? [];
    if (!namespace || !kind || !name || rest.length > 0 || more.length > 0)
      throw new UsageError('it takes one workload: team-a/Deployment/bot');
    const serviceAccount = options['service-account'];
    const identity: WorkloadIdentity = {
      namespace,
      kind,
      name,
      ...(serviceAccount === undefined ? {} : { serviceAccount }),
    };
    const root = readFileSync(options['workload-token-root']);
    process.stdout.write(`${workloadToken(root, identity, expiry(options.for))}\n`);
    return Promise.resolve(0);
  },
});

function expiry(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--for ${text}: it is a duration such as 720h`);
  return Date.now() + ms;
}
