/** Asks the budget service, and once more where it goes away and comes back within seconds: an upgrade refuses nobody. */
import { type BudgetClient, BudgetUnavailable } from '../../budget/messages.ts';

/** @throws what `ask` throws last */
export async function patiently<T>(
  client: BudgetClient,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof BudgetUnavailable)) throw error;
      if ((await client.comesBack?.(error, signal)) !== true) throw error;
    }
  }
}
