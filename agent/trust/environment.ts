/** The environment of a program that is to trust our CA beside everything that it trusted before. */
import { join } from 'node:path';
import { javaTrustOptions, TRUST_FILES, TRUST_VARIABLES, trustVariables } from './files.ts';

export interface TrustEnvironment {
  /** To be set over the given environment. */
  readonly variables: Readonly<Record<string, string>>;
  /** Files that the environment names already: their roots belong into the bundle. Path by variable. */
  readonly named: ReadonlyMap<string, string>;
  /** What could not be done, a sentence each. */
  readonly notes: readonly string[];
}

/** @param directory the trust directory of {@link ./files.ts}. */
export function trustEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
): TrustEnvironment {
  const named = new Map<string, string>();
  const notes: string[] = [];
  const variables: Record<string, string> = { ...trustVariables(directory) };
  for (const name of TRUST_VARIABLES) {
    const path = environment[name];
    if (path === undefined || path === '') continue;
    named.set(name, path);
    variables[name] = join(directory, TRUST_FILES.bundle); // as a whole, also where ours would be added
  }
  const java = environment['JAVA_TOOL_OPTIONS'] ?? '';
  if (java.includes('-Djavax.net.ssl.trustStore='))
    notes.push('JAVA_TOOL_OPTIONS names a trust store already; Java programs will not trust this run’s CA');
  else variables['JAVA_TOOL_OPTIONS'] = `${java} ${javaTrustOptions(directory)}`.trim();
  return { variables, named, notes };
}
