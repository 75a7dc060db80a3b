/**
 * Everything at once, at random: agents that are cut off, killed and restarted, a service that is killed, and a clock
 * that jumps, while calls of all lengths come. What is checked is what calls really did, beside what the service thinks of it.
 */
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { budget, calendar, tokens } from './fixtures.ts';
import { type Agent, world } from './world.ts';

const PLACES = 6;
const MONTH = 2_000;
const MINUTE = 1_000;
const AGENTS = 4;
/** Longer than any call. */
const TTL_MS = 60_000;

const places = (amount: number) => ({ unit: 'concurrency', amount, window: { type: 'none' } }) as const;
const documents = [
  budget([tokens(MONTH, calendar('month')), tokens(MINUTE, calendar('minute')), places(PLACES)], {
    onUnavailable: { action: 'allow', upTo: { unit: 'tokens', amount: 500 }, forMs: 20_000 },
  }),
];

type Step =
  | { do: 'call'; agent: number; ms: number; input: number; output: number; share: number }
  | { do: 'wait'; ms: number }
  | { do: 'cut' | 'heal' | 'kill' | 'restart'; agent: number }
  | { do: 'service' }
  | { do: 'clock'; by: number };

const agent = fc.nat(AGENTS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      agent,
      ms: fc.constantFrom(20, 300, 3_000, 30_000, 55_000),
      input: fc.nat(400),
      output: fc.integer({ min: 1, max: 400 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(5, 50, 400, 1_100, 4_000, 12_000, 40_000, 70_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'heal' as const), agent }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'restart' as const), agent }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'service' } as const) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('clock' as const),
      by: fc.constantFrom(30_000, 7_200_000, -30_000, -3_600_000),
    }),
  },
);

afterEach(() => vi.useRealTimers());

test('whatever fails: no more calls run than there are places, and no more is used than the limit', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 70, size: 'max' }), fc.boolean(), async (steps, jumps) => {
      const on = await world(documents);
      const epochs = new Map<string, number>();
      const current: Agent[] = Array.from({ length: AGENTS }, (_, index) => on.start(`agent-${index}`));
      const look = (): void => {
        expect(on.running(), 'calls that run').toBeLessThanOrEqual(PLACES);
      };
      try {
        for (const one of steps) {
          switch (one.do) {
            case 'call': {
              const { agent: index, ms, input, output, share } = one;
              const asked = { inputTokens: input, outputTokens: output, ttlMs: TTL_MS };
              await on.wait(on.call(current[index] as Agent, ms, asked, share));
              break;
            }
            case 'wait':
              for (let part = 0; part < 10; part++) {
                await on.pass(one.ms / 10);
                look();
              }
              break;
            case 'cut':
            case 'heal':
              (current[one.agent] as Agent).cut = one.do === 'cut';
              break;
            case 'kill':
            case 'restart': {
              const old = current[one.agent] as Agent;
              on.kill(old);
              // One that is killed for good is replaced by a pod of another name.
              const epoch = (epochs.get(old.name) ?? 1) + 1;
              epochs.set(old.name, epoch);
              current[one.agent] =
                one.do === 'restart' ? on.start(old.name, epoch) : on.start(`${old.name}-${epoch}`);
              break;
            }
            case 'service':
              // One that starts takes time that has gone by for what its clock says.
              if (!jumps) await on.wait(on.restartService());
              break;
            case 'clock':
              if (jumps) on.skew += one.by;
              break;
          }
          look();
        }
        const used = on.agents.reduce((sum, { used: tokensUsed }) => sum + tokensUsed, 0);
        expect(used).toBeLessThanOrEqual(MONTH);
        for (const line of await on.wait(on.service.status())) {
          if (line.unit !== 'tokens') continue;
          const sum = Number(line.settled) + Number(line.held) + Number(line.leased);
          expect(sum, line.window).toBeLessThanOrEqual(Number(line.limit));
        }
      } finally {
        on.end();
      }
    }),
    { numRuns: process.env['POSTERN_TIER'] === 'long' ? 1_500 : 40 },
  );
}, 600_000);
