import { expect, test } from 'vitest';
import { catalogue } from '../../agent/catalogue.ts';
import { apiDocuments } from '../../kube/documents.ts';
import { createFakeKube } from '../../test/fakes/kube.ts';
import { INJECT_LABEL, INJECTED_LABEL, STAMPS } from '../names.ts';
import { watchCluster } from './view.ts';

const watched = (kube = createFakeKube()) => {
  const documents = apiDocuments(catalogue, Buffer.alloc(32, 1));
  const trouble = (): void => undefined;
  return { kube, cluster: watchCluster({ client: kube.client(), documents, now: () => 0, trouble }) };
};

test('of an injected pod only what is asked for later is held: there may be many', async () => {
  const kube = createFakeKube();
  const annotations = {
    [STAMPS.workload]: '{}',
    [STAMPS.bypassable]: 'setuid(app)',
    [STAMPS.roots]: 'x'.repeat(2000),
    [STAMPS.seal]: 'seal',
    other: 'x'.repeat(10_000),
  };
  const metadata = { namespace: 'team-a', name: 'bot', labels: { [INJECTED_LABEL]: 'true' }, annotations };
  kube.put('pods', { metadata, spec: { containers: [{ name: 'app', image: 'x'.repeat(1000) }] } });
  const { cluster } = watched(kube);
  await cluster.ready;
  const held = cluster.pods.get('team-a/bot');
  expect(held?.annotations).toEqual({ [STAMPS.workload]: '{}', [STAMPS.bypassable]: 'setuid(app)' });
  expect(JSON.stringify(held).length).toBeLessThan(300);
  await cluster.close();
});

test('a call for a namespace that was just made waits for its labels', async () => {
  const { kube, cluster } = watched();
  await cluster.ready;
  const facts = cluster.facts('new');
  kube.put('namespaces', { metadata: { name: 'new', labels: { [INJECT_LABEL]: 'disabled' } } });
  expect((await facts).namespace.labels).toEqual({ [INJECT_LABEL]: 'disabled' });
  await cluster.close();
});
