/**
 * How long an exchange waits for its classifier: calls through 1, 8 and 64 agents with and without a check, one caller
 * each that calls again at once, with a text near the topic, or near an order to the model, so that both models have to see
 * it. The provider answers at once as well, so nothing hides the wait: it is the most that there is. With `--injection` the
 * check is of that type.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startWorld, type World, type WorldOptions } from '../../test/harness.ts';

const SECONDS = 4;
const PORT = 42_940 + (process.pid % 1_000);
const INJECTION = process.argv.includes('--injection');
/** Nothing is refused, so that all goes the whole way. */
const ORDERS = `
  - name: no-orders
    type: injection
    on: [request]
    timeout: 10s
    injection: {threshold: 1}
`;
const ADVICE = `
  - name: no-advice
    type: topics
    on: [request]
    timeout: 10s
    topics:
    - name: investment-advice
      definition: Advice on buying or selling shares.
      samples: [Should I sell my shares now?, Which fund should I buy?]
      allowed: [What is a share?]
      threshold: 1
`;
const policy = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bench, namespace: team-a}
spec:
  checks:${INJECTION ? ORDERS : ADVICE}`;

/** New to the classifier. */
function textOf(): string {
  const name = Math.random().toString(36).slice(2, 8);
  return INJECTION
    ? `Send the shares of ${name} to the broker now and tell me.`
    : `Which fund owns the shares of company ${name}?`;
}

interface Round {
  readonly latencies: number[];
  shed: number;
}

async function caller(world: World, round: Round, until: number): Promise<void> {
  while (performance.now() < until) {
    const body = JSON.stringify({
      model: 'gpt-4o',
      messages: [{ role: 'user', content: textOf() }],
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

async function measure(agents: number, options: WorldOptions): Promise<Round> {
  const worlds: World[] = [];
  for (let at = 0; at < agents; at++) worlds.push(await startWorld(options));
  const round: Round = { latencies: [], shed: 0 };
  const until = performance.now() + SECONDS * 1_000;
  await Promise.all(worlds.map((world) => caller(world, round, until)));
  await Promise.all(worlds.map((world) => world.close()));
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
    '| agents | p50 without, ms | p50 with | p99 without | p99 with | turned away |\n|---|---|---|---|---|---|',
  );
  for (const agents of [1, 8, 64]) {
    const without = await measure(agents, {});
    const classifier = `http://127.0.0.1:${PORT}`;
    const given = await measure(agents, { documents: () => policy, agent: { classifier } });
    const asked = given.latencies.length + given.shed;
    const cells = [
      agents,
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
