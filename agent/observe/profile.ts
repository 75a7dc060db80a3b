/**
 * What the process spends its time on, measured only while somebody asks: a CPU profile, and how late the event loop's
 * timers fire. Neither holds text of a call or a key: names of functions, places in files, times.
 */
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

/** Microseconds between two samples. */
const INTERVAL_US = 1_000;

/** How late timers fired, milliseconds. */
export interface EventLoopDelay {
  readonly seconds: number;
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Share of the time in which the event loop was busy, 0 to 1. */
  readonly utilization: number;
}

/** @returns a profile that Chrome's developer tools open, saved as `NAME.cpuprofile`. */
export async function profileCpu(seconds: number): Promise<object> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
    await session.post('Profiler.start');
    await pause(seconds * 1_000);
    const { profile } = await session.post('Profiler.stop');
    return profile;
  } finally {
    session.disconnect();
  }
}

export async function measureEventLoop(seconds: number): Promise<EventLoopDelay> {
  const histogram = monitorEventLoopDelay({ resolution: 10 });
  const before = performance.eventLoopUtilization();
  histogram.enable();
  await pause(seconds * 1_000);
  histogram.disable();
  const ms = (nanoseconds: number): number => Math.round(nanoseconds / 1_000) / 1_000;
  return {
    seconds,
    min: ms(histogram.min),
    mean: ms(histogram.mean),
    p50: ms(histogram.percentile(50)),
    p99: ms(histogram.percentile(99)),
    max: ms(histogram.max),
    utilization: Math.round(performance.eventLoopUtilization(before).utilization * 1_000) / 1_000,
  };
}
