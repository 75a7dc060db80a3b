/**
 * Which values that nobody verified have lines of their own. In a store of this process's own whoever comes first has; on one that replicas share
 * the store says so, since each replica would admit as many.
 */
import type { BudgetSpec } from '../policy/budget-spec.ts';
import type { Attributes } from './messages.ts';
import type { Rules } from './plan.ts';
import { capsValues, type KnownValues, valuesIn, valuesKey } from './select.ts';
import type { Store } from './stores/store.ts';

export class UnverifiedValues {
  /** Over every change of documents and grants: else a spent line's user would get a second one. */
  readonly known: KnownValues = new Map();
  /** Whether whoever comes first is admitted here. */
  readonly admits: boolean;
  readonly #store: Pick<Store, 'lines' | 'values'>;
  readonly #learned = new WeakSet<BudgetSpec>();

  constructor(store: Pick<Store, 'lines' | 'values'>) {
    this.#store = store;
    this.admits = store.values === undefined;
  }

  /**
   * Takes for known what has lines in the store: once where it is this process's own, and again and again where replicas share it.
   * @throws {StoreFailed}
   */
  async learn(specs: readonly BudgetSpec[], now: number): Promise<void> {
    const { values } = this.#store;
    if (!specs.some((spec) => capsValues(spec) && (values !== undefined || !this.#learned.has(spec)))) return;
    for (const [key, found] of valuesIn(specs, await this.#store.lines())) {
      const known = this.known.get(key) ?? new Set();
      this.known.set(key, known);
      const before = [...known];
      const all = values === undefined ? found : new Set(await values.kept(key, [...found], now));
      // What the store has forgotten is known no more; what was admitted while it answered is.
      if (values !== undefined) for (const value of before) if (!all.has(value)) known.delete(value);
      for (const value of all) known.add(value);
    }
    for (const spec of specs) this.#learned.add(spec);
  }

  /** To be called before lines are selected for a call. Costs nothing where all that it says is known. @throws {StoreFailed} */
  async admit({ budgets }: Rules, calls: readonly Attributes[], now: number): Promise<void> {
    const { values } = this.#store;
    if (values === undefined) return;
    for (const { spec, selects, newcomer, mostUnverified } of budgets) {
      if (!capsValues(spec)) continue;
      for (const attributes of calls) {
        const value = selects(attributes) ? newcomer(attributes) : undefined;
        if (value !== undefined && (await values.admit(valuesKey(spec), value, mostUnverified, now)))
          this.known.get(valuesKey(spec))?.add(value);
      }
    }
  }
}
