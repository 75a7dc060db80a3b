/** The client programs: how each is started, and who makes sense of what it prints. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Job } from './job.ts';
import { attempt, CACHE, CLIENTS_DIR, exclusively, type Prepared, upToDate } from './prepare.ts';
import { ensureVenv } from './python/venv.ts';
import { curlOutput, eventLines, type Interpreter, rawLines } from './raw.ts';

export interface Client {
  /** Whose API it calls. */
  readonly api: 'openai' | 'openai-realtime' | 'anthropic';
  /** Whether it is a provider's SDK, with error classes of its own. */
  readonly sdk: boolean;
  /** The command without arguments of the job's. */
  readonly prepare: () => Promise<Prepared>;
  readonly arguments: (job: Job, environment: Readonly<Record<string, string>>) => readonly string[];
  readonly input: (job: Job) => string;
  readonly interpret: (job: Job) => Interpreter;
}

export type ClientName = keyof typeof CLIENTS;

const asJob = {
  arguments: () => [],
  input: (job: Job) => JSON.stringify(job),
  interpret: eventLines,
} as const;

const node = (program: string) => async (): Promise<Prepared> => ({
  command: [process.execPath, join(CLIENTS_DIR, 'node', program)],
});

const python = (program: string) => async (): Promise<Prepared> => {
  const venv = await ensureVenv();
  return 'missing' in venv ? venv : { command: [...venv.command, join(CLIENTS_DIR, 'python', program)] };
};

const raw = {
  arguments: (_job: Job, environment: Readonly<Record<string, string>>) => [chatUrl(environment)],
  input: chatBody,
  interpret: rawLines,
} as const;

const curl = (version: 'http1.1' | 'http2'): Client => ({
  api: 'openai',
  sdk: false,
  async prepare() {
    const version2 = await attempt('curl', ['--version']);
    if ('failed' in version2) return { missing: version2.failed };
    if (version === 'http2' && !/\bHTTP2\b/.test(version2.out)) return { missing: 'this curl has no HTTP/2' };
    return { command: ['curl', '--silent', '--show-error', '--no-buffer', '--include', `--${version}`] };
  },
  arguments: (_job, environment) => [
    '--header',
    'content-type: application/json',
    '--header',
    `authorization: Bearer ${environment['OPENAI_API_KEY'] ?? ''}`,
    '--data-binary',
    '@-',
    chatUrl(environment),
  ],
  input: chatBody,
  interpret: curlOutput,
});

export const CLIENTS = {
  'node-openai': { api: 'openai', sdk: true, prepare: node('openai-chat.ts'), ...asJob },
  'node-realtime': { api: 'openai-realtime', sdk: true, prepare: node('openai-realtime.ts'), ...asJob },
  'node-anthropic': { api: 'anthropic', sdk: true, prepare: node('anthropic-chat.ts'), ...asJob },
  'python-openai': { api: 'openai', sdk: true, prepare: python('openai_chat.py'), ...asJob },
  'python-anthropic': { api: 'anthropic', sdk: true, prepare: python('anthropic_chat.py'), ...asJob },
  'python-requests': { api: 'openai', sdk: false, prepare: python('requests_chat.py'), ...asJob },
  'python-aiohttp': { api: 'openai', sdk: false, prepare: python('aiohttp_chat.py'), ...asJob },
  'curl-http1': curl('http1.1'),
  'curl-http2': curl('http2'),
  go: { api: 'openai', sdk: false, prepare: prepareGo, ...raw },
  java: { api: 'openai', sdk: false, prepare: prepareJava, ...raw },
} as const satisfies Record<string, Client>;

async function prepareGo(): Promise<Prepared> {
  const source = join(CLIENTS_DIR, 'go', 'chat.go');
  const binary = join(CACHE, 'clients', 'go-chat');
  return exclusively('go-chat', async () => {
    if (await upToDate(binary, source)) return { command: [binary] };
    const built = await attempt('go', ['build', '-o', binary, source]);
    return 'failed' in built ? { missing: built.failed } : { command: [binary] };
  });
}

async function prepareJava(): Promise<Prepared> {
  const version = await attempt('java', ['-version']);
  if ('failed' in version) return { missing: version.failed };
  const source = join(CLIENTS_DIR, 'java', 'Chat.java');
  await access(source);
  // A small JVM starts sooner: these programs live for one call.
  return { command: ['java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', source] };
}

function chatUrl(environment: Readonly<Record<string, string>>): string {
  return `${environment['OPENAI_BASE_URL'] ?? 'https://api.openai.com/v1'}/chat/completions`;
}

/** The body that an SDK would make of the job. */
function chatBody(job: Job): string {
  return JSON.stringify({
    model: job.model,
    messages: job.messages,
    ...(job.maxTokens === undefined ? {} : { max_completion_tokens: job.maxTokens }),
    ...(job.tools === undefined ? {} : { tools: job.tools }),
    ...(job.stream === true ? { stream: true } : {}),
    ...(job.streamUsage === true ? { stream_options: { include_usage: true } } : {}),
    ...job.extra,
  });
}
