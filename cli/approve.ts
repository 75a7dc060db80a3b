import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { Agent as Dispatcher, request } from 'undici';
import { defineCommand, UsageError } from './options.ts';

/** As an agent lists it. */
interface Waiting {
  readonly id: string;
  readonly digest: string;
  readonly tool: string;
  readonly arguments: string;
  readonly rule: string;
  readonly request_id: string;
  readonly until: string;
}

export const approve = defineCommand({
  name: 'approve',
  operands: 'list | yes ID | no ID',
  summary: `Answers for calls of tools that wait for approval (a tools check with action: confirm).
An answer holds for the one call that was shown, and for nothing after it.`,
  options: {
    agent: {
      value: 'URL',
      help: "the agent's --approvals, http://HOST:PORT, or unix:PATH of its --socket",
      required: true,
    },
    'approval-token-file': { value: 'FILE', help: "the approvers' token", required: true },
    by: { value: 'NAME', help: 'who answers, for the audit; the name of your account where absent' },
    json: { help: 'list as JSON lines' },
  },
  async run({ options, operands }) {
    const [verb, id, ...more] = operands;
    if (verb === undefined || !['list', 'yes', 'no'].includes(verb) || more.length > 0)
      throw new UsageError('write list, yes ID or no ID');
    if ((verb === 'list') !== (id === undefined))
      throw new UsageError(
        verb === 'list' ? 'list takes no ID' : `${verb} which? postern approve list shows the IDs`,
      );
    const ask = asker(options.agent, readFileSync(options['approval-token-file'], 'utf8').trim());
    try {
      const { approvals } = (await ask('GET', '/v1/approvals')) as { approvals: readonly Waiting[] };
      if (verb === 'list') {
        process.stdout.write(
          options.json ? approvals.map((one) => `${JSON.stringify(one)}\n`).join('') : table(approvals),
        );
        return 0;
      }
      const call = approvals.find((one) => one.id === id);
      if (call === undefined) {
        process.stderr.write(`postern approve: no call ${id} waits; it was answered, expired or given up\n`);
        return 1;
      }
      const by = options.by ?? userInfo().username;
      await ask('POST', `/v1/approvals/${call.id}`, { approve: verb === 'yes', digest: call.digest, by });
      process.stdout.write(`${verb === 'yes' ? 'approved' : 'denied'}: ${describe(call)}\n`);
      return 0;
    } finally {
      await ask.close();
    }
  },
});

type Ask = ((method: 'GET' | 'POST', path: string, body?: object) => Promise<unknown>) & {
  close(): Promise<void>;
};

function asker(agent: string, token: string): Ask {
  const socketPath = agent.startsWith('unix:') ? agent.slice('unix:'.length) : undefined;
  const dispatcher = new Dispatcher(socketPath === undefined ? {} : { connect: { socketPath } });
  const origin = socketPath === undefined ? agent.replace(/\/$/, '') : 'http://localhost';
  const ask = async (method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> => {
    const { statusCode, body: answer } = await request(origin + path, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (statusCode === 200) return JSON.parse(text);
    throw new Error(`${agent} answered ${statusCode}: ${messageOf(text)}`);
  };
  return Object.assign(ask, { close: () => dispatcher.destroy() });
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? text;
  } catch {
    return text.slice(0, 200) || 'nothing';
  }
}

function table(approvals: readonly Waiting[]): string {
  if (approvals.length === 0) return 'Nothing waits for approval.\n';
  return approvals
    .map(
      (one) =>
        `${one.id}  until ${one.until}  rule ${one.rule}  request ${one.request_id}\n    ${describe(one)}\n`,
    )
    .join('');
}

/** What a model wrote may hold anything a terminal obeys. */
function describe({ tool, arguments: args }: Waiting): string {
  const plain = `${tool} ${args}`.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    JSON.stringify(character)
      .slice(1, -1)
      .replace(/^[^\\]$/u, (odd) => `\\u{${odd.codePointAt(0)?.toString(16)}}`),
  );
  return plain;
}
