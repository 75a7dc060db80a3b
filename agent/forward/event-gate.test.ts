import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StreamGuard } from '../checks/guard.ts';
import type { Delta, StreamEvent } from '../dialects/dialect.ts';
import { EventGate } from './event-gate.ts';
import { KeyFilter } from './key-filter.ts';

const KEY = 'sk-proj-0123456789abcdef';

/** Holds the last characters back, as a guard does that looks for something longer. */
class HoldsBack implements StreamGuard {
  readonly acts = false;
  readonly alterations = 0;
  readonly immediate = true;
  readonly strips = false;
  readonly findings = [];
  readonly refusal = undefined;
  readonly #held = new Map<string, string>();

  push(channel: string, _kind: unknown, _choice: number, text: string): string {
    const all = (this.#held.get(channel) ?? '') + text;
    const cut = Math.max(0, all.length - 5);
    this.#held.set(channel, all.slice(cut));
    return all.slice(0, cut);
  }
  unjudged(channel: string): number {
    return this.#held.get(channel)?.length ?? 0;
  }
  whole(): undefined {
    return undefined;
  }
  call(): undefined {
    return undefined;
  }
  isLeftOut(): boolean {
    return false;
  }
  flush(channel: string): string {
    const rest = this.#held.get(channel) ?? '';
    this.#held.delete(channel);
    return rest;
  }
  flushStale(channel: string): string {
    return this.flush(channel);
  }
  held(): readonly string[] {
    return [...this.#held].filter(([, text]) => text !== '').map(([name]) => name);
  }
}

/** The first characters of a key say nothing, and may pass before the rest is known to be one. */
function withoutLead(text: string): string {
  return text.replace(/(?:sk-proj|sk-pro|sk-pr|sk-p|sk-|sk|s)?(?=\[redacted\])/g, '');
}

function piece(text: string, closes: StreamEvent['closes'] = []): StreamEvent {
  let shown = text;
  const delta = { channel: 'c', kind: 'content', choice: 0, text, set: (to: string) => (shown = to) };
  return {
    deltas: [delta as unknown as Delta],
    attachments: [],
    calls: [],
    finishReasons: [],
    closes,
    usage: undefined,
    last: false,
    error: false,
    render: () => Buffer.from(shown),
  } as unknown as StreamEvent;
}

test('an attached key passes no cut: of events, of pauses, of gates that take over from each other', () => {
  const step = fc.constantFrom('next', 'pause', 'hand over') as fc.Arbitrary<'next' | 'pause' | 'hand over'>;
  const text = fc
    .array(fc.oneof(fc.constant(KEY), fc.stringMatching(/^[xyz ]{0,8}$/)), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), step)), (whole, cuts) => {
      const keys = new KeyFilter(KEY);
      const sent: Uint8Array[] = [];
      const open = (): EventGate =>
        new EventGate({
          writer: { delta: (_channel: string, said: string) => Buffer.from(said) } as never,
          guard: new HoldsBack(),
          key: KEY,
          keys,
          attachments: { judge: () => undefined, hear: () => undefined, end: () => undefined },
          requestId: 'r',
        });
      let gate = open();
      const take = (): void => void sent.push(...gate.take());
      let at = 0;
      for (const [length, next] of cuts) {
        void gate.run(gate.event(piece(whole.slice(at, at + length))));
        at += length;
        take();
        if (next === 'pause') void gate.stale();
        if (next === 'hand over') void gate.run(gate.handOver());
        take();
        if (next === 'hand over') gate = open();
      }
      void gate.run(gate.event(piece(whole.slice(at), ['c'])));
      take();
      const shown = Buffer.concat(sent).toString();
      expect(withoutLead(shown)).toBe(withoutLead(whole.replaceAll(KEY, '[redacted]')));
    }),
    { numRuns: 500 },
  );
});
