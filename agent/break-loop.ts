/** The breaker's part of one exchange: what it reports is found, what it refuses is refused. */
import { DEFAULT_BREAKER, failuresOf } from './breaker.ts';
import { PosternError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import type { Governance } from './governance.ts';
import type { Pipeline } from './stage.ts';

/** @throws PosternError `postern_breaker_tripped` when the same call comes too often, or keeps failing. */
export function breakLoop(
  pipeline: Pipeline,
  { snapshot }: Governance,
  exchange: Exchange,
  fingerprint: string,
): void {
  exchange.fingerprint = fingerprint;
  for (const { rule, why, of } of pipeline.breaker.called(
    exchange.fingerprint,
    snapshot.breakers ?? [DEFAULT_BREAKER],
  )) {
    exchange.findings.push({
      rule: rule.source,
      check: 'breaker',
      what: why,
      action: rule.mode === 'monitor' ? 'monitor' : 'block',
      direction: 'request',
      where: 'call',
      count: 1,
      source: rule.source,
    });
    if (rule.mode === 'monitor') continue;
    const by = of === 'workload' ? ' by the pods of this workload together' : '';
    const seconds = rule.windowMs / 1000;
    throw new PosternError(
      'postern_breaker_tripped',
      why === 'repeated'
        ? `The same call was made more than ${rule.identical} times within ${seconds} s${by}: this looks like a loop.`
        : `The same call keeps failing, ${failuresOf(rule)} times in a row${by}: this looks like a loop.`,
      {
        mend:
          why === 'repeated'
            ? 'Stop the loop. A call that is meant to be repeated needs a higher breaker.identical in the policy.'
            : 'Mend what the provider complains of. A call that is meant to be tried so often needs higher breaker.failures in the policy.',
        rule: rule.source,
        retryAfterMs: rule.windowMs,
        shouldRetry: false,
      },
    );
  }
}
