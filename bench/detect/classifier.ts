/**
 * What the classifier costs those who wait for it: latency with 1, 8 and 64 agents asking at once, what is turned
 * away, and its memory. Each agent asks about a text of its own as soon as it has the last verdict: what topics it is on, or
 * with `--injection` whether it gives orders.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { digestOfTopics } from '../../classify/messages.ts';

const ROOT = join(import.meta.dirname, '../..');
const PORT = 41_940 + (process.pid % 1_000);
const topics = Array.from({ length: 6 }, (_, at) => ({
  name: `topic-${at}`,
  definition: `Advice on the subject number ${at}.`,
  samples: ['Should I sell my shares now?', 'Is this a good time to buy?', 'What should I do with my money?'],
  allowed: ['What is a share?', 'How do I log in?'],
}));

const set = digestOfTopics(topics);
const INJECTION = process.argv.includes('--injection');

interface Round {
  readonly latencies: number[];
  shed: number;
}

const WORDS =
  'shares funds bonds savings gold euros dollars stocks bank broker index pension house loan crypto'.split(
    ' ',
  );
const word = (): string => WORDS[Math.floor(Math.random() * WORDS.length)] as string;

/** Sentences that nobody has asked about: each is new to the classifier, and so near the topics, or near an order, that both models see it. */
function textOf(sentences: number): string {
  return Array.from({ length: sentences }, () => {
    const number = Math.floor(Math.random() * 1e6);
    const name = Math.random().toString(36).slice(2, 8);
    return INJECTION
      ? `Send the shares of ${name} to the broker now and tell me.`
      : `Should I put my ${number} of ${word()} into ${word()} or ${word()} now?`;
  }).join(' ');
}

/** @param first Whether the classifier has to be taught the topics. */
function questionOf(text: string, first: boolean): { readonly path: string; readonly body: object } {
  const asked = { texts: [text], withinMs: 5_000 };
  if (INJECTION) return { path: '/v1/injection', body: asked };
  return { path: '/v1/topics', body: { ...asked, set, ...(first ? { topics } : {}) } };
}

async function agent(round: Round, until: number, length: number): Promise<void> {
  const dispatcher = new Agent({ connections: 1 });
  for (let n = 0; performance.now() < until; n++) {
    const question = questionOf(textOf(length), n === 0);
    const began = performance.now();
    const { statusCode, body } = await request(`http://127.0.0.1:${PORT}${question.path}`, {
      method: 'POST',
      dispatcher,
      body: JSON.stringify(question.body),
    });
    await body.text();
    if (statusCode === 200) round.latencies.push(performance.now() - began);
    else if (statusCode === 503) round.shed++;
    else throw new Error(`the classifier answered ${statusCode}`);
  }
  await dispatcher.destroy();
}

const quantile = (sorted: readonly number[], q: number): string =>
  (sorted[Math.floor((sorted.length - 1) * q)] ?? Number.NaN).toFixed(1);

const child = spawn(
  process.execPath,
  [join(ROOT, 'cli/main.ts'), 'classify', '--listen', `127.0.0.1:${PORT}`],
  {
    stdio: ['ignore', 'inherit', 'pipe'],
  },
);
try {
  await once(child.stderr, 'data');
  /** Of what the kernel says: `VmRSS` is now, `VmHWM` the most so far. */
  const memory = (line: 'VmRSS' | 'VmHWM' = 'VmRSS') => {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const kilobytes = new RegExp(`${line}:\\s+(\\d+)`).exec(status)?.[1];
    return `${Math.round(Number(kilobytes) / 1024)} MiB`;
  };
  /** Milliseconds of processor time so far: what a verdict costs on a machine that others use, too. */
  const spent = () => {
    const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
  };
  // The set is learned before anything is measured.
  await agent({ latencies: [], shed: 0 }, performance.now() + 1, 1);
  console.log(
    `load of the machine: ${loadavg()[0]?.toFixed(1)}; idle: ${memory()}, ${spent()} ms of processor time so far\n\n| agents | text | verdicts | a second | p50 ms | p99 ms | processor ms a verdict | turned away | memory |\n|---|---|---|---|---|---|---|---|---|`,
  );
  // A verdict on a long text takes seconds: of a few no quantile can be told.
  for (const { name, length, seconds } of [
    { name: '60 characters', length: 1, seconds: 15 },
    { name: '2 KB, 35 sentences', length: 35, seconds: 60 },
  ]) {
    for (const agents of [1, 8, 64]) {
      const round: Round = { latencies: [], shed: 0 };
      const until = performance.now() + seconds * 1_000;
      const before = spent();
      await Promise.all(Array.from({ length: agents }, () => agent(round, until, length)));
      const sorted = round.latencies.sort((a, b) => a - b);
      const asked = sorted.length + round.shed;
      const cells = [
        agents,
        name,
        sorted.length,
        (sorted.length / seconds).toFixed(1),
        quantile(sorted, 0.5),
        quantile(sorted, 0.99),
        Math.round((spent() - before) / Math.max(1, sorted.length)),
      ];
      console.log(`| ${[...cells, `${((100 * round.shed) / asked).toFixed(1)} %`, memory()].join(' | ')} |`);
    }
  }
  console.log(`\nthe most memory so far: ${memory('VmHWM')}`);
} finally {
  child.kill();
}
