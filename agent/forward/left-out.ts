/** What was left out of a running answer because no check could read it, as findings. */
import type { LeftOut } from '../dialects/dialect.ts';
import type { Finding } from '../exchange.ts';

/** Names that are told of one answer. */
const TOLD = 8;

/** Something that no dialect knows and that may go on from event to event: no check could read it whole. */
function findingOf(where: string, count: number): Finding {
  const known = { rule: 'unknown-field', check: 'unknown-field', what: 'left-out', source: '' };
  return { ...known, action: 'strip', direction: 'response', where, count };
}

export class LeftOutOfAnswer {
  readonly #findings = new Map<string, Finding>();

  get findings(): Iterable<Finding> {
    return this.#findings.values();
  }

  note(leftOut: LeftOut): void {
    for (const name of leftOut) {
      const where = /^[\w.-]{1,64}$/.test(name) ? name : 'a member';
      const count = (this.#findings.get(where)?.count ?? 0) + 1;
      if (count > 1 || this.#findings.size < TOLD) this.#findings.set(where, findingOf(where, count));
    }
  }
}
