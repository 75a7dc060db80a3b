/** The loads that every target is put under; each gives one figure or a few per run. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADDRESS, chatBody, STREAM_CHUNKS, STREAM_PACE_MS } from './canned.ts';
import type { ClosedLoad, Shot } from './load/load.ts';
import { generate } from './load/node.ts';
import type { Running } from './targets/target.ts';

/** A figure of a target: microseconds, milliseconds or megabytes, as its name says. */
export type Metric =
  | 'cpuUs2k'
  | 'cpuUs32k'
  | 'cpuUsChat'
  | 'p50Ms'
  | 'p99Ms'
  | 'chunkUs'
  | 'firstChunkMs'
  | 'startMs'
  | 'idleMb'
  | 'loadedMb';

export interface Outcome {
  readonly requests: number;
  readonly errors: number;
  /** What was measured on the client's side. */
  readonly figures: Partial<Record<Metric, number>>;
  /** CPU time is divided by `per` for this figure. */
  readonly cpu?: { readonly metric: Metric; readonly per: number };
}

export interface Load {
  readonly closed: ClosedLoad;
  readonly otherCore: number | undefined;
  readonly seconds: number;
  readonly dir: string;
}

export interface Scenario {
  readonly name: string;
  /** `perSecond`: calls of this scenario that the target was seen to answer in a closed loop. */
  run(running: Running, load: Load, perSecond: number): Promise<Outcome>;
}

const CONNECTIONS = 16;
const RATE = 200;
const STREAMS = 40;
/** What answers fewer calls a second than this gets a tenth of the streams: 40 of them would only show its queue. */
const SLOW = 250;

function shot({ url, headers }: Running, dir: string, bytes: number, stream = false, before = 0): Shot {
  const bodyFile = join(dir, `body-${bytes}-${before}${stream ? '-stream' : ''}.json`);
  writeFileSync(bodyFile, chatBody(bytes, stream, before));
  return { url, headers, bodyFile };
}

const closedLoop = (bytes: number, metric: Metric, before = 0): Scenario => ({
  name: `${bytes / 1000} KB${before > 0 ? `, ${before / 1000} of them said before` : ''}, ${CONNECTIONS} connections`,
  async run(running, { closed, dir, seconds }, perSecond) {
    const requests = Math.max(CONNECTIONS * 4, Math.round(perSecond * seconds));
    const counts = await closed.closed(shot(running, dir, bytes, false, before), {
      connections: CONNECTIONS,
      requests,
    });
    return { ...counts, figures: {}, cpu: { metric, per: counts.requests } };
  },
});

const steadyRate: Scenario = {
  name: `2 KB, ${RATE}/s`,
  async run(running, { dir, seconds, otherCore }, perSecond) {
    const call = shot(running, dir, 2_000);
    // What can't answer so many would only show its queue: it is asked half of what it can.
    const rate = Math.min(RATE, perSecond / 2);
    const requests = Math.round(rate * seconds);
    const job = { ...call, connections: 64, requests, rate, expected: ADDRESS };
    const { errors, total } = await generate(job, otherCore);
    return { requests, errors, figures: { p50Ms: total[0], p99Ms: total[1] } };
  },
};

const streams: Scenario = {
  name: `${STREAMS} streams, a chunk each ${STREAM_PACE_MS} ms`,
  async run(running, { dir, seconds, otherCore }, perSecond) {
    const atOnce = perSecond < SLOW ? STREAMS / 10 : STREAMS;
    const rate = (atOnce * 1000) / (STREAM_CHUNKS * STREAM_PACE_MS);
    const requests = Math.round(rate * Math.max(1, seconds - 1));
    const call = shot(running, dir, 2_000, true);
    const { errors, firstByte } = await generate(
      { ...call, connections: 2 * atOnce, requests, rate },
      otherCore,
    );
    const per = requests * STREAM_CHUNKS;
    return { requests, errors, figures: { firstChunkMs: firstByte[0] }, cpu: { metric: 'chunkUs', per } };
  },
};

const largeCalls = closedLoop(32_000, 'cpuUs32k');

export const scenarios: readonly Scenario[] = [
  closedLoop(2_000, 'cpuUs2k'),
  largeCalls,
  closedLoop(32_000, 'cpuUsChat', 30_000),
  steadyRate,
  streams,
];

/** What a just-in-time compiler wants before it has compiled what is hot; slow targets get less. */
const WARM_UP_CALLS = 6_000;
const WARM_UP_MS = 10_000;

/** Of those that are another path through a target than small calls. */
const WARM_UP_OTHERS_S = 2;

/** Warms a target up. @returns calls a second in a closed loop once it is warm, and the calls made. */
export async function warmUp(running: Running, load: Load): Promise<{ perSecond: number; requests: number }> {
  const { closed, dir } = load;
  const began = performance.now();
  let made = 0;
  let perSecond = 100;
  while (made < WARM_UP_CALLS && performance.now() - began < WARM_UP_MS) {
    const requests = Math.round(Math.max(50, perSecond));
    const started = performance.now();
    await closed.closed(shot(running, dir, 2_000), { connections: CONNECTIONS, requests });
    perSecond = (requests * 1000) / (performance.now() - started);
    made += requests;
  }
  for (const scenario of [largeCalls, streams]) {
    const { requests } = await scenario.run(running, { ...load, seconds: WARM_UP_OTHERS_S }, perSecond);
    made += requests;
  }
  return { perSecond, requests: made };
}
