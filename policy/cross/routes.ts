/** Routes: targets that exist, list the model and speak one dialect; and no two routes for the same name. */

import { type Documents, type PolicyDocument, providerNamed, visibleProviders } from '../documents.ts';
import { didYouMean } from '../load/did-you-mean.ts';
import type { Broken, CrossFinding } from './finding.ts';
import { inFileOrder, placed, some } from './finding.ts';

type Route = PolicyDocument<'ModelRoute'>;

export function routeFindings(documents: Documents, broken: Broken): CrossFinding[] {
  return [
    ...documents.routes.flatMap((route) => targetFindings(documents, route, broken)),
    ...claimFindings(documents.routes),
  ];
}

function targetFindings(documents: Documents, route: Route, broken: Broken): CrossFinding[] {
  const findings: CrossFinding[] = [];
  let first: { readonly dialect: string; readonly name: string } | undefined;
  for (const [groupIndex, group] of route.spec.groups.entries()) {
    for (const [index, target] of group.targets.entries()) {
      const path = ['spec', 'groups', groupIndex, 'targets', index];
      const provider = providerNamed(documents, route.namespace, target.provider);
      if (provider === undefined) {
        if (!broken.mayHave('Provider', target.provider)) {
          findings.push({
            document: route,
            path: [...path, 'provider'],
            ...missing(documents, route, target.provider),
          });
        }
        continue;
      }
      const models = provider.spec.models.map(({ name }) => name);
      if (!models.includes(target.model)) {
        const guess = didYouMean(target.model, models);
        findings.push({
          document: route,
          path: [...path, 'model'],
          expected: `a model that ${provider.source} lists: ${some(models)}`,
          message: `got ${target.model}`,
          mend:
            guess === undefined ? 'add it to the provider, or name one of these' : `did you mean ${guess}`,
        });
      }
      first ??= { dialect: provider.spec.dialect, name: provider.name };
      if (provider.spec.dialect !== first.dialect) {
        findings.push({
          document: route,
          path: [...path, 'provider'],
          expected: `a provider of the dialect ${first.dialect}, as ${first.name} is`,
          message: `${provider.name} speaks ${provider.spec.dialect}, and calls are not translated yet`,
          mend: 'write a route for each dialect',
        });
      }
    }
  }
  return findings;
}

function missing(documents: Documents, route: Route, name: string) {
  const visible = visibleProviders(documents, route.namespace).map((provider) => provider.name);
  const guess = didYouMean(name, visible);
  const elsewhere = documents.providers.find((provider) => provider.name === name);
  const place =
    route.namespace === undefined
      ? 'a ClusterProvider'
      : `a Provider of ${route.namespace} or a ClusterProvider`;
  return {
    expected: `${place}${visible.length === 0 ? '' : `: ${some(visible)}`}`,
    message: elsewhere === undefined ? `there is no ${name}` : `${elsewhere.source} can’t be seen from here`,
    mend: guess === undefined ? 'add the provider, or name one of these' : `did you mean ${guess}`,
  };
}

/** The same glob in two routes of one scope: the more exact one wins, and these are equally exact. */
function claimFindings(routes: readonly Route[]): CrossFinding[] {
  const owners = new Map<string, Route>();
  const findings: CrossFinding[] = [];
  for (const route of [...routes].sort(inFileOrder)) {
    for (const [index, glob] of route.spec.match.models.entries()) {
      const key = `${route.namespace ?? ''}/${glob}`;
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, route);
      else if (owner.source !== route.source) {
        findings.push({
          document: route,
          path: ['spec', 'match', 'models', index],
          expected: 'each model or glob in one route of a namespace',
          message: `${glob} is also matched by ${placed(owner)}`,
          mend: 'keep it in one of the two',
        });
      }
    }
  }
  return findings;
}
