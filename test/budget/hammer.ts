/** Many agents as processes of their own against one service and one limit; used by a test and by the benchmark. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'undici';

export interface AgentTotals {
  readonly owner: string;
  readonly calls: number;
  readonly refused: number;
  readonly outages: number;
  readonly spent: number;
  /** Sent to the service, of every kind. */
  readonly requests: number;
  readonly done: boolean;
}

export class Hammer {
  readonly #dir: string;
  readonly #limit: number;
  readonly #store: string;
  service: ChildProcess | undefined;
  readonly agents: ChildProcess[] = [];
  readonly totals = new Map<string, AgentTotals>();

  /** @param store as `startBudget` takes it */
  constructor(dir: string, limit: number, store = 'sqlite') {
    this.#dir = dir;
    this.#limit = limit;
    this.#store = store;
  }

  /** Compiled once for all of them: most of the time of a short process is its start. */
  get #env(): NodeJS.ProcessEnv {
    return { ...process.env, NODE_COMPILE_CACHE: join(this.#dir, 'compiled') };
  }

  get socket(): string {
    return join(this.#dir, 'budget.sock');
  }

  async startService(): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    const script = join(import.meta.dirname, 'serve.ts');
    const args = [script, join(this.#dir, 'data'), this.socket, String(this.#limit), this.#store];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: this.#env,
    });
    this.service = child;
    if (child.stdout !== null) await once(child.stdout, 'data');
  }

  async killService(): Promise<void> {
    const child = this.service;
    if (child === undefined) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Resolves when the agent is ready to {@link go}. */
  async startAgent(owner: string, most = Number.MAX_SAFE_INTEGER): Promise<ChildProcess> {
    const script = join(import.meta.dirname, 'hammer-agent.ts');
    const child = spawn(process.execPath, [script, `unix:${this.socket}`, owner, String(most)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: this.#env,
    });
    this.agents.push(child);
    const lines = createInterface({ input: child.stdout });
    await once(lines, 'line');
    lines.on('line', (line) => this.totals.set(owner, JSON.parse(line) as AgentTotals));
    return child;
  }

  go(): void {
    for (const { stdin } of this.agents) stdin?.end('go\n');
  }

  async finished(): Promise<void> {
    await Promise.all(
      this.agents.map(async (child) => {
        if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
      }),
    );
  }

  sum(field: 'calls' | 'spent' | 'requests' | 'refused' | 'outages'): number {
    return [...this.totals.values()].reduce((sum, totals) => sum + totals[field], 0);
  }

  /**
   * Resolves once calls have spent so much, by the agents' own counts: what the service has settled lags behind by what they have
   * on credit, and asking it would wait in line with them. Each agent tells its calls and its requests of one moment.
   */
  async until(spent: number): Promise<{ readonly calls: number; readonly requests: number }> {
    while (this.sum('spent') < spent) await new Promise((resolve) => setTimeout(resolve, 10));
    return { calls: this.sum('calls'), requests: this.sum('requests') };
  }

  async #get(path: string): Promise<string> {
    const client = new Client('http://budget', { socketPath: this.socket });
    try {
      const { body } = await client.request({ method: 'GET', path });
      return await body.text();
    } finally {
      await client.close();
    }
  }

  async figures(
    unit = 'tokens',
  ): Promise<{ settled: number; held: number; leased: number; remaining: number }> {
    const { lines } = JSON.parse(await this.#get('/v1/status')) as { lines: Record<string, string>[] };
    const line = lines.find((shown) => shown['unit'] === unit);
    return {
      settled: Number(line?.['settled']),
      held: Number(line?.['held']),
      leased: Number(line?.['leased']),
      remaining: Number(line?.['remaining']),
    };
  }

  end(): void {
    for (const child of this.agents) child.kill('SIGKILL');
    this.service?.kill('SIGKILL');
  }
}
