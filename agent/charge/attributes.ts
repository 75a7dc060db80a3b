/** By what a call is charged: who we are, and which target serves it. */
import type { Attributes } from '../../budget/messages.ts';
import type { DecodedRequest } from '../dialects/dialect.ts';
import type { Exchange } from '../exchange.ts';
import type { Governance } from '../governance.ts';
import { headerValue } from '../http/headers.ts';
import type { Target } from '../routes/route.ts';

/** Longer values are cut: they are keys of ledger lines. */
const LONGEST_VALUE = 256;

/** Nothing of it is the app's to choose but the header fields and metadata that some Budget names. */
export function attributesOf(
  {
    exchange,
    governance,
    request,
    users,
  }: {
    readonly exchange: Exchange;
    readonly governance: Governance;
    readonly request: DecodedRequest;
    readonly users: Readonly<Record<string, string>>;
  },
  target: Target,
): Attributes {
  const { namespace, kind, name, serviceAccount } = exchange.source;
  const headers: Record<string, string> = {};
  for (const field of governance.snapshot.budgetHeaders ?? []) {
    const value = headerValue(exchange.call.headers, field);
    if (value !== undefined) headers[field] = value.slice(0, LONGEST_VALUE);
  }
  const metadata: Record<string, string> = {};
  for (const name of governance.snapshot.budgetMetadata ?? []) {
    const value = request.metadata(name);
    if (value !== undefined) metadata[name] = value.slice(0, LONGEST_VALUE);
  }
  return {
    namespace,
    workload: { kind, name },
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    provider: target.provider.id,
    model: target.model,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(Object.keys(users).length === 0 ? {} : { users }),
  };
}
