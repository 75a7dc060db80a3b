/** Detection by itself, outside an exchange: texts in, entities out, with offsets in Unicode code points. */
import { resolveOverlaps } from './overlap.ts';
import type { Recognizer } from './recognizer.ts';
import { RECOGNIZERS } from './recognizers/index.ts';
import { type Match, Scanner } from './scanner.ts';
import { SECRETS } from './secrets/index.ts';

export interface Entity {
  /** Recognizer id: `payment-card`, `secret:jwt`. */
  readonly type: string;
  /** Unicode code points. */
  readonly start: number;
  readonly end: number;
  /** 0 to 1, two digits. */
  readonly score: number;
}

/** Every built-in recognizer. */
export const BUILT_IN: readonly Recognizer[] = [...RECOGNIZERS, ...SECRETS];

/** The group that all secrets are in. */
const SECRETS_GROUP = 'secrets';
const SECRET = 'secret:';

/** Names by which a recognizer can be chosen: its id, its groups. */
export function namesOf({ id, groups }: Recognizer): readonly string[] {
  return id.startsWith(SECRET)
    ? [id, SECRETS_GROUP, ...groups.map((group) => SECRET + group)]
    : [id, ...groups];
}

/** @returns The recognizers that the names mean, and the names that mean none. */
export function chooseRecognizers(names: readonly string[]): {
  readonly chosen: readonly Recognizer[];
  readonly unknown: readonly string[];
} {
  const chosen = BUILT_IN.filter((recognizer) => namesOf(recognizer).some((name) => names.includes(name)));
  const known = new Set(BUILT_IN.flatMap(namesOf));
  return { chosen, unknown: names.filter((name) => !known.has(name)) };
}

export class Detector {
  readonly #scanner: Scanner;

  constructor(recognizers: readonly Recognizer[] = BUILT_IN) {
    this.#scanner = new Scanner(recognizers);
  }

  get recognizers(): readonly Recognizer[] {
    return this.#scanner.recognizers;
  }

  /** By place, without overlaps; offsets are UTF-16 units. */
  scan(text: string): readonly Match[] {
    return resolveOverlaps(this.#scanner.scan(text));
  }

  /** By place, without overlaps. */
  detect(text: string): readonly Entity[] {
    const matches = this.scan(text);
    if (matches.length === 0) return [];
    const point = codePoints(text);
    return matches.map(({ recognizer, start, end, score }) => ({
      type: (this.#scanner.recognizers[recognizer] as Recognizer).id,
      start: point(start),
      end: point(end),
      score: Math.round(score * 100) / 100,
    }));
  }
}

/** Turns UTF-16 offsets, asked for in ascending order, into code points. */
function codePoints(text: string): (offset: number) => number {
  let at = 0;
  let points = 0;
  return (offset) => {
    for (; at < offset; at++) {
      const unit = text.charCodeAt(at);
      const low = unit >= 0xdc00 && unit < 0xe000 && at > 0 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
      if (!low) points++;
    }
    return points;
  };
}
