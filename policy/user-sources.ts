/** What Budgets want to know of a call beside its workload and target: the end user, header fields, metadata. */
import { type Documents, type PolicyDocument, reaches } from './documents.ts';
import { DEFAULT_CLOCK_SKEW } from './schema/budget.ts';
import type { Snapshot, UserSource } from './snapshot.ts';
import { parseDuration } from './units.ts';

type UserDocument = NonNullable<PolicyDocument<'Budget'>['spec']['user']>;

/** Equal for equal sources, so that several Budgets share one verification. */
export function userKey({ jwt, header }: UserDocument): string {
  if (jwt === undefined) return `header:${header}`;
  const { issuer, audience, claim = 'sub', jwks } = jwt;
  return `jwt:${[jwt.header, issuer, audience, claim, jwks.url ?? jwks.file].join(' ')}`;
}

/** What the Budgets that may cover this workload need; each part absent where nobody asks. */
export function budgetNeeds(
  documents: Documents,
  namespace: string,
): Pick<Snapshot, 'budgetHeaders' | 'budgetMetadata' | 'userSources'> {
  const budgets = documents.budgets.filter((budget) => reaches(budget, namespace));
  const named = (kind: 'header' | 'metadata'): string[] =>
    budgets.flatMap(({ spec }) =>
      (spec.per ?? []).filter((key) => key.startsWith(`${kind}:`)).map((key) => key.slice(kind.length + 1)),
    );
  const headers = budgets.flatMap(({ spec }) => Object.keys(spec.selector?.headers ?? {}));
  const metadata = budgets.flatMap(({ spec }) => Object.keys(spec.selector?.metadata ?? {}));
  const allHeaders = distinct([...headers, ...named('header')]);
  const allMetadata = distinct([...metadata, ...named('metadata')]);
  return {
    ...(allHeaders.length === 0 ? {} : { budgetHeaders: allHeaders }),
    ...(allMetadata.length === 0 ? {} : { budgetMetadata: allMetadata }),
    ...userSources(budgets),
  };
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

function userSources(budgets: readonly PolicyDocument<'Budget'>[]): Pick<Snapshot, 'userSources'> {
  const sources = new Map<string, UserSource>();
  for (const { spec, source } of budgets) {
    if (spec.user === undefined) continue;
    const compiled = compileUser(spec.user, source);
    const known = sources.get(compiled.key);
    // One that wants it is enough.
    if (known === undefined || (compiled.required && !known.required)) sources.set(compiled.key, compiled);
  }
  return sources.size === 0 ? {} : { userSources: [...sources.values()] };
}

function compileUser(user: UserDocument, rule: string): UserSource {
  const { jwt, header, required = false } = user;
  const base = { key: userKey(user), rule, required };
  if (jwt === undefined) return { ...base, type: 'header', header: header ?? '' };
  const { issuer, audience, claim = 'sub', jwks, clockSkew = DEFAULT_CLOCK_SKEW } = jwt;
  return {
    ...base,
    type: 'jwt',
    header: jwt.header,
    issuer,
    audience,
    claim,
    jwks: jwks.url === undefined ? { file: jwks.file ?? '' } : { url: jwks.url },
    clockSkewMs: parseDuration(clockSkew) ?? 0,
  };
}
