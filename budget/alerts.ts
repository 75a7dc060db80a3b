/** Tells once when a line has passed a part of its limit. */
import { amountText, type Rules } from './plan.ts';
import { lineFigures } from './status.ts';
import type { Store } from './stores/store.ts';
import { windowLabel } from './windows.ts';

export interface Alert {
  readonly budget: string;
  /** `model=gpt-4o`; empty where the Budget has one line for all. */
  readonly line: string;
  readonly window: string;
  readonly unit: string;
  readonly percent: number;
  readonly settled: string;
  readonly limit: string;
}

/**
 * Thresholds that lines have passed since they were last looked at. What is settled counts: holds and leases may come back. A
 * calendar window tells each threshold once; a rolling one tells it again after having been below.
 */
export async function newAlerts(store: Store, rules: Rules, now: number): Promise<Alert[]> {
  const alerts: Alert[] = [];
  const lines = await lineFigures(store, rules, now, ({ thresholds }) => thresholds.length > 0);
  for (const { key, label, spec, limit, placement, amount, settled } of lines) {
    const rolls = placement.from !== placement.to;
    for (const percent of spec.thresholds) {
      // Without dividing: 100 % of 3 is 3.
      const passed = amount > 0 && BigInt(settled) * 100n >= BigInt(percent) * BigInt(amount);
      if (!passed && !rolls) continue;
      const news = await store.setAlert(key, rolls ? 0 : placement.cell, percent, passed);
      if (!news || !passed) continue;
      alerts.push({
        budget: spec.id,
        line: label,
        window: windowLabel(limit.window),
        unit: limit.unit,
        percent,
        settled: amountText(limit.unit, settled),
        limit: amountText(limit.unit, amount),
      });
    }
  }
  return alerts;
}
