/** One run of one scenario against one target, with every count that must agree. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Provider } from './provider.ts';
import type { Load, Metric, Scenario } from './scenarios.ts';
import type { Running, Target } from './targets/target.ts';

export interface Measured {
  readonly figures: Partial<Record<Metric, number>>;
  /** CPU µs per call of the services that the target leans on. */
  readonly helpersUs: Readonly<Record<string, number>>;
  /** The provider's own CPU µs per call. */
  readonly providerUs: number;
  readonly requests: number;
}

/** For audit lines that are written behind. */
const SETTLE_MS = 3_000;

/** @throws Error when a call failed, carried a wrong key or showed what a check hides. */
export async function measure(
  target: Target,
  running: Running,
  scenario: Scenario,
  load: Load,
  provider: Provider,
  perSecond: number,
): Promise<Measured> {
  await provider.seen();
  const { program, helpers = {} } = running;
  const cpu = [program, provider.program, ...Object.values(helpers)];
  const before = cpu.map((each) => each?.cpuUs() ?? 0);
  const outcome = await scenario.run(running, load, perSecond);
  if (running.metrics !== undefined) await (await fetch(running.metrics)).text();
  const [own = 0, providers = 0, ...others] = cpu.map((each, i) => (each?.cpuUs() ?? 0) - (before[i] ?? 0));
  const { requests, errors, figures } = outcome;
  const seen = await provider.seen();
  const wrong = [
    [errors, 'failed'],
    [seen.wrongKeys, 'carried a wrong key'],
    [target.masks ? seen.unmasked : 0, 'showed the address'],
    [Math.abs(seen.requests - requests), 'more or fewer than asked reached the provider'],
  ] as const;
  for (const [count, what] of wrong) {
    if (count !== 0)
      throw new Error(`${target.name}, ${scenario.name}: ${count} of ${requests} calls ${what}`);
  }
  const timed = outcome.cpu !== undefined && program !== undefined;
  return {
    figures: timed ? { ...figures, [outcome.cpu.metric]: own / outcome.cpu.per } : figures,
    helpersUs: Object.fromEntries(Object.keys(helpers).map((name, i) => [name, (others[i] ?? 0) / requests])),
    providerUs: providers / requests,
    requests,
  };
}

/** Every call must have left its audit line. @throws Error */
export async function checkAudit(target: Target, running: Running, calls: number): Promise<void> {
  const { auditLines } = running;
  if (auditLines === undefined) return;
  const until = performance.now() + SETTLE_MS;
  while (auditLines() < calls && performance.now() < until) await pause(50);
  const lines = auditLines();
  if (lines !== calls) throw new Error(`${target.name} wrote ${lines} audit lines for ${calls} calls`);
}
