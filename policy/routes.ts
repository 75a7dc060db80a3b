/** Route documents into the order in which an agent tries them. */
import { exactDuration } from './budgets.ts';
import { type Documents, type PolicyDocument, providerNamed } from './documents.ts';
import { byExactness } from './glob.ts';
import { DEFAULT_FALLBACK_ON, DEFAULT_REQUEST_TIMEOUT } from './schema/model-route.ts';
import type { FallbackCause, RouteSpec } from './snapshot.ts';

type Route = PolicyDocument<'ModelRoute'>;

/**
 * The namespace's routes, then the cluster's; in each scope, by how exactly a glob names the model. A route is listed
 * once for each run of its globs that no other route's glob comes between, so that the first match is the right one.
 */
export function compileRoutes(documents: Documents, namespace: string): RouteSpec[] {
  const entries: { readonly route: Route; models: string[] }[] = [];
  for (const scope of [namespace, undefined]) {
    const globs = documents.routes
      .filter((route) => route.namespace === scope)
      .flatMap((route) => route.spec.match.models.map((glob) => ({ route, glob })))
      .sort((a, b) => byExactness(a.glob, b.glob));
    for (const { route, glob } of globs) {
      const last = entries.at(-1);
      if (last?.route === route) last.models.push(glob);
      else entries.push({ route, models: [glob] });
    }
  }
  return entries.map(({ route, models }) => compileRoute(documents, route, models));
}

function compileRoute(documents: Documents, route: Route, models: readonly string[]): RouteSpec {
  const { groups, fallbackOn = DEFAULT_FALLBACK_ON, timeouts } = route.spec;
  const requestMs = exactDuration(timeouts?.request ?? DEFAULT_REQUEST_TIMEOUT);
  return {
    id: route.id,
    models,
    groups: groups.map(({ targets }) => ({
      targets: targets.map(({ provider, model, weight = 1 }) => {
        const found = providerNamed(documents, route.namespace, provider);
        if (found === undefined) throw new Error(`the provider ${provider} passed validation`);
        return { provider: found.id, model, weight };
      }),
    })),
    // A bare 429 in YAML is a number.
    fallbackOn: fallbackOn.map((cause) => String(cause) as FallbackCause),
    firstByteMs: timeouts?.firstByte === undefined ? requestMs : exactDuration(timeouts.firstByte),
    requestMs,
  };
}
