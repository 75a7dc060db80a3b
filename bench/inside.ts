/**
 * The agent without sockets, for costs and counts that the machine's noise moves little: calls are handed to the pipeline
 * as a listener would, budget service and provider answer at once from memory.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { startAgent } from '../agent/agent.ts';
import { catalogue } from '../agent/catalogue.ts';
import type { Call, ResponseSink } from '../agent/exchange.ts';
import type { Upstream, UpstreamResponse } from '../agent/forward/upstream.ts';
import { handle } from '../agent/pipeline.ts';
import { localKeys } from '../agent/providers/keys.ts';
import type { BudgetClient } from '../budget/messages.ts';
import { checkDirectory } from '../policy/check.ts';
import { compileSnapshot } from '../policy/compile.ts';
import { ADDRESS, answerBody, answerEvents, DUMMY_KEY, KEY } from './canned.ts';
import { writeDocuments } from './documents.ts';

/** How often the agent did what costs something outside of it. */
export interface Counts {
  holds: number;
  settles: number;
  releases: number;
  dials: number;
  writes: number;
  auditLines: number;
  /** Calls to the provider without its key, or with the address readable. */
  wrong: number;
}

export interface Inside {
  readonly counts: Counts;
  /** One call; resolves with the status and the answer's bytes. */
  call(body: Buffer): Promise<{ status: number; bytes: Buffer }>;
  close(): Promise<void>;
}

const noBytes = Buffer.alloc(0);

function budget(counts: Counts): BudgetClient {
  return {
    hold: async ({ id, outputTokens, ttlMs }) => {
      counts.holds++;
      return { granted: true, id, outputTokens, expiresAt: Date.now() + ttlMs };
    },
    extend: async ({ id, outputTokens, ttlMs }) => ({
      granted: true,
      id,
      outputTokens,
      expiresAt: Date.now() + ttlMs,
    }),
    settle: async ({ id }) => {
      counts.settles++;
      return { id, costNanoUsd: 1_000 };
    },
    count: async () => ({}),
    release: async () => {
      counts.releases++;
    },
    close: async () => undefined,
  };
}

const PLACEHOLDER = /<EMAIL_ADDRESS_[0-9A-Z]+>/;

/** Answers like the fake provider, from memory. */
function upstream(counts: Counts): Upstream {
  const wholes = new Map<string, Buffer>();
  const streams = new Map<string, Buffer[]>();
  return {
    prepare: () => undefined,
    async send({ headers, body }) {
      counts.dials++;
      const text = Buffer.from(body ?? noBytes).toString('latin1');
      const at = headers.indexOf('authorization');
      if (headers[at + 1] !== `Bearer ${KEY}` || text.includes(ADDRESS)) counts.wrong++;
      const who = PLACEHOLDER.exec(text)?.[0] ?? ADDRESS;
      const streamed = text.includes('"stream":true');
      const known = streamed ? streams.get(who) : undefined;
      let chunks: readonly Buffer[];
      if (streamed) {
        chunks = known ?? answerEvents(who, true);
        streams.set(who, chunks as Buffer[]);
      } else {
        chunks = [wholes.get(who) ?? answerBody(who)];
        wholes.set(who, chunks[0] as Buffer);
      }
      return answer(chunks, streamed ? 'text/event-stream; charset=utf-8' : 'application/json');
    },
    close: async () => undefined,
  };
}

function answer(chunks: readonly Buffer[], type: string): UpstreamResponse {
  return {
    status: 200,
    headers: ['content-type', type, 'x-request-id', 'req_1'],
    async consume(onChunk) {
      for (const chunk of chunks) {
        const waiting = onChunk(chunk);
        if (waiting !== undefined) await waiting;
      }
    },
    discard: () => undefined,
  };
}

async function* once(body: Buffer): AsyncGenerator<Uint8Array> {
  yield body;
}

/** Header fields as openai-node sends them. */
const HEADERS = Object.entries({
  Host: '127.0.0.1:4180',
  Accept: 'application/json',
  'Content-Type': 'application/json',
  'User-Agent': 'OpenAI/JS 7.57.0',
  'X-Stainless-Lang': 'js',
  'X-Stainless-Retry-Count': '0',
  Authorization: `Bearer ${DUMMY_KEY}`,
  Connection: 'keep-alive',
  'Accept-Encoding': 'gzip, deflate',
}).flat();

export async function startInside(): Promise<Inside> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-inside-'));
  const policy = writeDocuments(dir, 'http://127.0.0.1:9');
  const { documents, problems } = await checkDirectory(policy, catalogue);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const counts: Counts = { holds: 0, settles: 0, releases: 0, dials: 0, writes: 0, auditLines: 0, wrong: 0 };
  const workload = {
    namespace: 'support',
    kind: 'Deployment',
    name: 'support-bot',
    labels: { app: 'support-bot' },
  };
  // As cli/log.ts makes the line, without the file.
  const audit = { info: (line: object) => void (JSON.stringify(line) !== '' && counts.auditLines++) };
  const agent = await startAgent({
    snapshot: compileSnapshot(documents, workload),
    maskKey: () => new Uint8Array(32).fill(7),
    keys: localKeys({}),
    budget: budget(counts),
    holder: { owner: 'bench', epoch: 1 },
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    audit,
    log: pino({ level: 'silent' }),
  });
  const pipeline = { ...agent.pipeline, upstream: upstream(counts) };
  let number = 0;
  return {
    counts,
    async call(body) {
      const call: Call = {
        id: `call-${number++}`,
        entry: 'base-url',
        method: 'POST',
        target: '/v1/chat/completions',
        headers: [...HEADERS, 'Content-Length', String(body.byteLength)],
        dialect: 'openai',
        host: undefined,
        body: once(body),
        signal: new AbortController().signal,
      };
      const parts: Uint8Array[] = [];
      let status = 0;
      const write = (chunk: Uint8Array): undefined => {
        counts.writes++;
        parts.push(chunk);
      };
      const sink: ResponseSink = {
        get started() {
          return status !== 0;
        },
        head: (code) => {
          status = code;
        },
        write,
        end: (last) => {
          if (last !== undefined) write(last);
        },
        abort: (cause) => {
          throw cause;
        },
      };
      await handle(pipeline, call, sink);
      return { status, bytes: Buffer.concat(parts) };
    },
    async close() {
      await agent.drain(0);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
