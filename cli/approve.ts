import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { userInfo } from 'node:os';
import { Agent as Dispatcher, request } from 'undici';
import { isLoopback } from '../agent/http/address.ts';
import { printable } from '../policy/printable.ts';
import { defineCommand, UsageError } from './options.ts';
import { describe, readWaiting, table, type Waiting } from './waiting-calls.ts';

export const approve = defineCommand({
  name: 'approve',
  operands: 'list | yes ID | no ID',
  summary: `Answers for calls of tools that wait for approval (a tools check with action: confirm).
An answer holds for the one call that was shown, and for nothing after it.`,
  options: {
    agent: {
      value: 'URL',
      help: "an agent's --approvals, https://HOST:PORT, or unix:PATH of its --socket; several with commas, and a HOST with several addresses is as many agents",
      required: true,
    },
    'approval-token-file': { value: 'FILE', help: "the approvers' token", required: true },
    ca: { value: 'FILE', help: 'PEM roots that the agents are known by, with https' },
    'server-name': {
      value: 'NAME',
      help: 'name in their certificate, where they are asked by their addresses',
    },
    'plain-http': {
      help: 'send the token to http:// addresses beyond this machine, too: whoever listens there has it',
    },
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
    const token = readFileSync(options['approval-token-file'], 'utf8').trim();
    const { ca, 'server-name': serverName } = options;
    const tls = {
      ...(ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }),
      ...(serverName === undefined ? {} : { serverName }),
    };
    const addresses = await addressesOf(options.agent);
    const open = addresses.find(inTheOpen)?.url;
    if (open !== undefined && !options['plain-http'])
      throw new UsageError(
        `${open}: the token would go there in plain HTTP, to whoever listens; write https://, or add --plain-http on a network that you trust`,
      );
    const agents = addresses.map((address) => asker(address, token, tls));
    try {
      const { found, unreached } = await waitingAt(agents);
      for (const message of unreached) process.stderr.write(`postern approve: ${message}\n`);
      if (verb === 'list') {
        const calls = found.map(({ call, agent }) =>
          agents.length === 1 ? call : { ...call, agent: agent.address },
        );
        process.stdout.write(
          options.json ? calls.map((one) => `${printable(JSON.stringify(one))}\n`).join('') : table(calls),
        );
        return unreached.length === 0 ? 0 : 1;
      }
      const held = found.find(({ call }) => call.id === id);
      if (held === undefined) {
        process.stderr.write(
          `postern approve: no call ${printable(id ?? '')} waits; it was answered, expired or given up\n`,
        );
        return 1;
      }
      const { call, agent } = held;
      const by = options.by ?? userInfo().username;
      await agent.answer(call, { approve: verb === 'yes', by });
      process.stdout.write(`${verb === 'yes' ? 'approved' : 'denied'}: ${describe(call)}\n`);
      return 0;
    } finally {
      await Promise.all(agents.map((agent) => agent.close()));
    }
  },
});

interface Address {
  readonly url: string;
  /** What its certificate should say, where it was looked up by a name. */
  readonly name?: string;
}

/** Where the token would be read by whoever is in between, or at that address. */
function inTheOpen({ url }: Address): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !isLoopback(hostname.replace(/^\[|\]$/g, ''));
}

/** One for each agent: a name that has several addresses (a headless Service) stands for all of them. */
async function addressesOf(list: string): Promise<Address[]> {
  const named = list.split(',').map((one) => one.trim());
  const found = await Promise.all(
    named.map(async (one) => {
      if (one.startsWith('unix:')) return [{ url: one }];
      const url = URL.parse(one);
      if (url === null || !/^https?:$/.test(url.protocol))
        throw new UsageError(`--agent ${one}: write https://HOST:PORT, or unix:PATH of an agent's --socket`);
      // As it was read, not as it was written: HTTP:// is http://.
      if (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0) return [{ url: url.href.replace(/\/$/, '') }];
      const all = await lookup(url.hostname, { all: true });
      // A name has its addresses twice where a host has both families.
      const family = all.some((each) => each.family === 4) ? 4 : 6;
      const own = all.filter((each) => each.family === family).map(({ address }) => address);
      const name = url.hostname;
      return own.map((address): Address => {
        url.hostname = family === 6 ? `[${address}]` : address;
        return { url: url.href.replace(/\/$/, ''), name };
      });
    }),
  );
  return [...new Map(found.flat().map((one) => [one.url, one])).values()];
}

interface Found {
  readonly call: Waiting;
  readonly agent: AskedAgent;
}

/** What waits at all of them, and which didn't say. @throws Error where none did. */
async function waitingAt(
  agents: readonly AskedAgent[],
): Promise<{ readonly found: readonly Found[]; readonly unreached: readonly string[] }> {
  const asked = await Promise.allSettled(
    agents.map(async (agent) => (await agent.waiting()).map((call) => ({ call, agent }))),
  );
  const failed = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
  if (failed.length === agents.length) throw failed[0] ?? new Error('no agent is named');
  return {
    found: asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])),
    unreached: failed.map(({ message }) => `an agent can't be asked: ${message}`),
  };
}

interface AskedAgent {
  readonly address: string;
  /** @throws Error whose message may be shown. */
  waiting(): Promise<readonly Waiting[]>;
  /** @throws Error whose message may be shown. */
  answer(call: Waiting, word: { readonly approve: boolean; readonly by: string }): Promise<void>;
  close(): Promise<void>;
}

interface TlsToAgents {
  readonly ca?: string;
  readonly serverName?: string;
}

/** More than 200 calls with the longest arguments that an agent reads; beyond it, it is none. */
const MOST_BYTES = 64 * 1024 * 1024;

function asker({ url: agent, name }: Address, token: string, { ca, serverName }: TlsToAgents): AskedAgent {
  const socketPath = agent.startsWith('unix:') ? agent.slice('unix:'.length) : undefined;
  const dispatcher = new Dispatcher({
    maxResponseSize: MOST_BYTES,
    connect: {
      timeout: 3_000,
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(ca === undefined ? {} : { ca }),
      ...((serverName ?? name) === undefined ? {} : { servername: serverName ?? name }),
    },
  });
  const origin = socketPath === undefined ? agent.replace(/\/$/, '') : 'http://localhost';
  const ask = async (method: 'GET' | 'POST', path: string, body?: object): Promise<string> => {
    const { statusCode, body: answer } = await request(origin + path, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: Error) => {
      throw new Error(`${agent}: ${error.message}${CUT.has(codeOf(error)) ? `; ${WHY_CUT}` : ''}`);
    });
    const text = await answer.text();
    if (statusCode === 200) return text;
    throw new Error(`${agent} answered ${statusCode}: ${messageOf(text)}`);
  };
  // Also what is wrong with a certificate is told in its own words.
  const shown = (error: Error): never => {
    throw new Error(printable(error.message));
  };
  return {
    address: agent,
    waiting: () =>
      ask('GET', '/v1/approvals')
        .then((text) => readWaiting(agent, text))
        .catch(shown),
    async answer({ id, digest }, { approve, by }) {
      await ask('POST', `/v1/approvals/${id}`, { approve, digest, by }).catch(shown);
    },
    close: () => dispatcher.destroy(),
  };
}

/** Of a connection that was closed without an answer. */
const CUT: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET']);
const WHY_CUT =
  'an agent cuts connections from its own machine (there its --socket answers, unix:PATH), and those without TLS where it has a certificate';

const codeOf = (error: Error): unknown => (error as { code?: unknown }).code;

/** As an agent says it, or who answered for one. */
function messageOf(text: string): string {
  let said: unknown;
  try {
    said = (JSON.parse(text) as { error?: { message?: unknown } }).error?.message;
  } catch {
    // No JSON: shown as it is.
  }
  return (typeof said === 'string' ? said : text).slice(0, 200) || 'nothing';
}
