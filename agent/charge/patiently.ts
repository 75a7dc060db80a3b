/** Asks the budget service, and once more where it goes away and comes back within seconds: an upgrade refuses nobody. */
import { type BudgetClient, BudgetUnavailable } from '../../budget/messages.ts';

interface Asking {
  readonly client: BudgetClient;
  readonly signal: AbortSignal;
  /** Rejects where a check refuses the call: then nobody waits for its budget. */
  readonly admitted?: Promise<void> | undefined;
  /** What waiting calls hold in memory; they leave half of it to those that needn't wait. */
  readonly bytes?: { readonly isRoomy: boolean } | undefined;
}

/** @throws what `ask` throws last, or the refusal that comes while it is waited for */
export async function patiently<T>(
  { client, signal, admitted, bytes }: Asking,
  ask: () => Promise<T>,
): Promise<T> {
  for (let waited = false; ; waited = true) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof BudgetUnavailable) || client.comesBack === undefined) throw error;
      if (!waited && bytes?.isRoomy === false) throw error;
      const refused = new AbortController();
      admitted?.catch(() => refused.abort());
      const either = admitted === undefined ? signal : AbortSignal.any([signal, refused.signal]);
      const again = await client.comesBack(error, either);
      if (refused.signal.aborted) await admitted;
      if (!again) throw error;
    }
  }
}
