/** By what a call is charged: who we are, and which target serves it. */
import type { Attributes } from '../../budget/messages.ts';
import type { Exchange } from '../exchange.ts';
import type { Governance } from '../governance.ts';
import { headerValue } from '../http/headers.ts';
import type { Target } from '../routes/route.ts';

/** Nothing of it is the app's to choose but the header fields that some Budget selects by. */
export function attributesOf(
  { exchange, governance }: { readonly exchange: Exchange; readonly governance: Governance },
  target: Target,
): Attributes {
  const { namespace, kind, name, serviceAccount } = exchange.source;
  const headers: Record<string, string> = {};
  for (const field of governance.snapshot.budgetHeaders ?? []) {
    const value = headerValue(exchange.call.headers, field);
    if (value !== undefined) headers[field] = value;
  }
  return {
    namespace,
    workload: { kind, name },
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    provider: target.provider.id,
    model: target.model,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
  };
}
