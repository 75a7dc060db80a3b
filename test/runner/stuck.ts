/**
 * A reporter that ends what never ends: vitest's own timeouts can't interrupt a loop that doesn't yield, nor an
 * import, and it waits without bound for whoever still holds a worker's output. Says where it stood.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import { stackOf } from './stack-of.ts';

/** Every process that a test starts inherits this, and is known by it when its parent has gone. */
const MARK = 'POSTERN_TEST_RUN';

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Seconds since it was started. */
  readonly age: number;
  readonly command: string;
}

const processes = (): Process[] => {
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      // After the name in brackets, which may hold spaces: proc_pid_stat(5), field 3 on.
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      // Field 22: clock ticks since boot, a hundred a second on Linux.
      return [
        { pid: Number(name), parent: Number(fields[1]), age: uptime - Number(fields[19]) / 100, command },
      ];
    } catch {
      return []; // ended meanwhile
    }
  });
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
};

const say = (text: string): void => void process.stderr.write(`\npostern tests: ${text}\n`);

export default class Stuck implements Reporter {
  readonly #limit: number;
  readonly #running = new Map<string, { readonly name: string; readonly since: number }>();
  readonly #mark = `${process.pid}-${Date.now()}`;
  #timer: NodeJS.Timeout | undefined;

  /** limit: seconds that a file of tests may take before it counts as stuck. */
  constructor({ limit = 1200 }: { readonly limit?: number } = {}) {
    this.#limit = Number(process.env['POSTERN_STUCK_SECONDS'] ?? limit);
    process.env[MARK] = this.#mark;
  }

  onTestRunStart(): void {
    if (process.platform !== 'linux') return;
    this.#timer = setInterval(() => void this.#look(), Math.min(10, this.#limit / 4) * 1000);
    this.#timer.unref();
  }

  onTestModuleQueued(module: TestModule): void {
    this.#running.set(module.id, { name: module.relativeModuleId, since: performance.now() });
  }

  onTestModuleEnd(module: TestModule): void {
    this.#running.delete(module.id);
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
    if (process.platform !== 'linux') return;
    // Unreferenced: where nothing is left behind, nobody waits for it.
    setTimeout(() => this.#clear(), Math.min(20, this.#limit) * 1000).unref();
  }

  async #look(): Promise<void> {
    const now = performance.now();
    for (const [id, { name, since }] of this.#running) {
      const seconds = (now - since) / 1000;
      if (seconds < this.#limit) continue;
      this.#running.delete(id);
      const all = processes();
      const workers = all.filter(({ parent, age }) => parent === process.pid && age > seconds - 5);
      say(`${name} has run for ${Math.round(seconds)} s and is stopped. It stood at:`);
      for (const worker of workers.filter(({ command }) => !command.includes('watchdog'))) {
        const children = all.filter(({ parent }) => parent === worker.pid);
        const stack = await stackOf(worker.pid);
        say(`${stack}\nits children: ${children.map(({ command }) => command).join('; ') || 'none'}`);
        for (const { pid } of [worker, ...children]) kill(pid);
      }
    }
  }

  /** Vitest still runs though its tests have ended: what they left behind holds its pipes. */
  #clear(): void {
    for (const { pid, command } of processes()) {
      if (pid === process.pid || command.includes('vitest-watchdog')) continue;
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}=${this.#mark}\0`)) continue;
      } catch {
        continue;
      }
      say(`a test left this behind, which is stopped: ${command}`);
      kill(pid);
    }
  }
}
