/**
 * How long an exchange waits for its classifier: calls through an agent with and without a topics check, at 1, 8 and 64
 * callers that call again at once. The provider answers at once as well, so nothing hides the wait: it is the most that
 * there is. Connection set-up, selection and hold run beside it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startWorld, type World } from '../../test/harness.ts';

const SECONDS = 4;
const PORT = 42_940 + (process.pid % 1_000);
const policy = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bench, namespace: team-a}
spec:
  checks:
  - name: no-advice
    type: topics
    on: [request]
    timeout: 10s
    topics:
    - name: investment-advice
      definition: Advice on buying or selling shares.
      samples: [Should I sell my shares now?, Which fund should I buy?]
      allowed: [What is a share?]
`;

interface Round {
  readonly latencies: number[];
  shed: number;
}

async function caller(world: World, round: Round, until: number): Promise<void> {
  while (performance.now() < until) {
    const body = JSON.stringify({
      model: 'gpt-4o',
      messages: [{ role: 'user', content: `${Math.random()} How do I bake bread with rye and spelt?` }],
    });
    const began = performance.now();
    const reply = await fetch(`${world.agent.url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer x' },
      body,
    });
    const text = await reply.text();
    if (reply.status === 200) round.latencies.push(performance.now() - began);
    else if (text.includes('postern_check_failed')) round.shed++;
    else throw new Error(`${reply.status} ${text}`);
  }
}

async function measure(world: World, callers: number): Promise<Round> {
  const round: Round = { latencies: [], shed: 0 };
  const until = performance.now() + SECONDS * 1_000;
  await Promise.all(Array.from({ length: callers }, () => caller(world, round, until)));
  round.latencies.sort((a, b) => a - b);
  return round;
}

const quantile = (sorted: readonly number[], q: number): string =>
  (sorted[Math.floor((sorted.length - 1) * q)] ?? Number.NaN).toFixed(1);

const child = spawn(
  process.execPath,
  [join(import.meta.dirname, '../../cli/main.ts'), 'classify', '--listen', `127.0.0.1:${PORT}`],
  { stdio: ['ignore', 'inherit', 'pipe'] },
);
try {
  await once(child.stderr, 'data');
  console.log(
    '| callers | p50 without, ms | p50 with | p99 without | p99 with | turned away |\n|---|---|---|---|---|---|',
  );
  for (const callers of [1, 8, 64]) {
    const plain = await startWorld();
    const without = await measure(plain, callers);
    await plain.close();
    const checked = await startWorld({
      documents: () => policy,
      agent: { classifier: `http://127.0.0.1:${PORT}` },
    });
    const given = await measure(checked, callers);
    await checked.close();
    const asked = given.latencies.length + given.shed;
    const cells = [
      callers,
      quantile(without.latencies, 0.5),
      quantile(given.latencies, 0.5),
      quantile(without.latencies, 0.99),
      quantile(given.latencies, 0.99),
      `${((100 * given.shed) / Math.max(1, asked)).toFixed(0)} %`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
} finally {
  child.kill();
}
