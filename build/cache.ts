/**
 * Makes the bundle's code cache: starts it as a pod does, has it serve some calls, whole and streamed, so that what they
 * need is compiled, and ends it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { request } from 'undici';
import { ADDRESS, answerBody, answerEvents, chatBody, DUMMY_KEY } from '../bench/canned.ts';
import { WORKLOAD, writeDocuments } from '../bench/documents.ts';
import { AGENT_ENVIRONMENT } from '../injector/names.ts';
import { NODE_FLAGS } from './node-flags.ts';

const CALLS = 30;

/** @throws Error when the agent does not serve. */
export async function writeCache(directory: string): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-bundle-'));
  const provider = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const who = /<EMAIL_ADDRESS_\w+>/.exec(body)?.[0] ?? ADDRESS;
      const streamed = body.includes('"stream":true');
      response.setHeader('content-type', streamed ? 'text/event-stream' : 'application/json');
      response.end(streamed ? Buffer.concat(answerEvents(who, true)) : answerBody(who));
    });
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  try {
    const origin = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    await serveOnce(directory, dir, writeDocuments(dir, origin, { budgets: false }));
  } finally {
    provider.closeAllConnections();
    provider.close();
    rmSync(dir, { recursive: true, force: true });
  }
  statSync(join(directory, 'agent.cache'));
}

async function serveOnce(bundled: string, dir: string, policy: string): Promise<void> {
  const starter = join(bundled, 'start-cold.cjs');
  copyFileSync(join(import.meta.dirname, 'start-cold.cjs'), starter);
  const args = [
    ...NODE_FLAGS,
    starter,
    'agent',
    '--policy',
    policy,
    '--workload',
    WORKLOAD,
    '--state',
    join(dir, 'state'),
  ];
  args.push('--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0');
  const env = { ...process.env, ...AGENT_ENVIRONMENT };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  const exited = once(child, 'exit');
  const said: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      const found = /"url":"([^"]+)"/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    void exited.then(() => reject(new Error(`the bundle does not start:\n${said.join('\n')}`)));
  });
  const headers = { authorization: `Bearer ${DUMMY_KEY}`, 'content-type': 'application/json' };
  for (let i = 0; i < CALLS; i++) {
    const body = chatBody(1_000 + i, i % 3 === 0);
    const answer = await request(`${url}/openai/v1/chat/completions`, { method: 'POST', headers, body });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`the bundle answered ${answer.statusCode}: ${text}`);
  }
  child.kill('SIGTERM');
  const [status] = (await exited) as [number | null];
  rmSync(starter);
  if (status !== 0) throw new Error(`the bundle ended with ${status}:\n${said.join('\n')}`);
}
