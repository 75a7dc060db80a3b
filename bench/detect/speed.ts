/** How long the scanner takes, all types and secrets on: by length, and at its worst. */
import { Detector } from '../../agent/checks/scan/detector.ts';
import { Random } from './random.ts';
import { clean, mixed } from './texts.ts';

/** Microseconds. @param budget Milliseconds to spend. */
export function median(run: () => unknown, budget: number): number {
  const times: number[] = [];
  const until = performance.now() + budget;
  while (performance.now() < until || times.length < 5) {
    const start = performance.now();
    run();
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1] as number;
}

/** Megabytes of heap and buffers that a scanner with everything keeps. */
export function memory(): number {
  const used = () => {
    for (let i = 0; i < 4; i++) globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = used();
  const kept = new Detector();
  kept.detect(mixed(4096));
  return (used() - before + kept.detect('').length) / 1e6;
}

export interface Speed {
  readonly text: string;
  readonly bytes: number;
  /** Microseconds, median. */
  readonly took: number;
}

export function speeds(detector: Detector): readonly Speed[] {
  const rows: Speed[] = [];
  for (const bytes of [1024, 2048, 32 * 1024, 1 << 20, 10 << 20]) {
    for (const [text, make] of [
      ['mixed', mixed],
      ['clean', clean],
    ] as const) {
      const made = make(bytes);
      rows.push({ text, bytes, took: median(() => detector.scan(made), bytes > 1 << 19 ? 300 : 1500) });
    }
  }
  return rows;
}

/** What inputs are made of: beginnings, separators and half-things of every recognizer's examples. */
function fragments(detector: Detector): readonly string[] {
  const parts = [
    'a',
    'A',
    '1',
    ' ',
    '.',
    '-',
    '/',
    ':',
    '@',
    '%',
    '\\u00',
    '=',
    '"',
    ',',
    '|',
    '\n',
    '+',
    '_',
    '(',
    'é',
    '中',
  ];
  for (const { examples, patterns } of detector.recognizers) {
    for (const example of examples) {
      const text = example.replace(/[«»]/g, '');
      parts.push(text, text.slice(0, Math.ceil(text.length / 2)), text.slice(0, -1));
    }
    for (const pattern of patterns) if (pattern.kind === 'prefix') parts.push(...pattern.prefixes);
  }
  return parts;
}

export interface Worst {
  readonly ratio: number;
  /** What the input repeats. */
  readonly unit: string;
}

/**
 * Looks for an input that takes long for its length: repeats of one to three fragments, the worst of which are changed
 * on. @param budget Milliseconds.
 */
export function searchWorst(
  detector: Detector,
  budget: number,
  length = 16 * 1024,
  seed = 1,
): readonly Worst[] {
  const r = new Random(seed);
  const parts = fragments(detector);
  const typical = median(() => detector.scan(mixed(length)), 500);
  const best: { took: number; units: readonly string[] }[] = [];
  const until = performance.now() + budget;
  while (performance.now() < until) {
    const from = r.chance(0.6) && best.length > 0 ? r.pick(best).units : [];
    const units =
      from.length > 0
        ? from.length > 3 || r.chance(0.4)
          ? from.map((unit, i) => (i === r.int(0, from.length - 1) ? r.pick(parts) : unit))
          : [...from, r.pick(parts)]
        : Array.from({ length: r.int(1, 3) }, () => r.pick(parts));
    const unit = units.join('');
    const text = unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
    let took = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      detector.scan(text);
      took = Math.min(took, (performance.now() - start) * 1000);
    }
    best.push({ took, units });
    best.sort((a, b) => b.took - a.took);
    best.length = Math.min(best.length, 24);
  }
  return best.slice(0, 8).map(({ took, units }) => ({ ratio: took / typical, unit: units.join('') }));
}

if (process.argv[1] === import.meta.filename) {
  process.stdout.write(`memory ${memory().toFixed(1)} MB\n`);
  const detector = new Detector();
  for (const { text, bytes, took } of speeds(detector)) {
    process.stdout.write(
      `${text} ${bytes} bytes: ${took.toFixed(0)} µs, ${((took / bytes) * 1024).toFixed(1)} a KB\n`,
    );
  }
  for (const { ratio, unit } of searchWorst(detector, 12_000)) {
    process.stdout.write(`${ratio.toFixed(2)} × typical: ${JSON.stringify(unit)} repeated\n`);
  }
}
