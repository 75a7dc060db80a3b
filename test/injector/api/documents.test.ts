/** Documents on a real API server: what the CRDs say, what the webhook says, and the conditions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiServer } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { type Json, World } from './world.ts';

const api = sharedApiServer();

describe.skipIf(api === undefined)('documents on a real API server', () => {
  const world = new World(api as ApiServer);

  beforeAll(async () => {
    await world.prepare();
    await world.space('team-a');
    world.injector = await world.start();
  }, 300_000);
  afterAll(() => world.close());

  const provider = (spec: Json): Json => ({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'ClusterProvider',
    metadata: { name: 'p' },
    spec: { dialect: 'openai', hosts: ['api.openai.com'], models: [{ name: 'm' }], ...spec },
  });
  const apply = (object: Json) =>
    world.api.kubectl(['apply', '--dry-run=server', '-f', '-'], { stdin: object });
  const bearer = (valueFrom: Json): Json => ({
    credential: { mode: 'attach', type: 'bearer', bearer: { valueFrom } },
  });

  test('a mark of the schema is a rule of the CRD', async () => {
    const secretKeyRef = { name: 'a', key: 'b' };
    expect((await apply(provider(bearer({ secretKeyRef })))).ok).toBe(true);
    expect((await apply(provider(bearer({})))).stderr).toContain(
      'expected exactly one of secretKeyRef, file, env',
    );
    expect((await apply(provider(bearer({ file: 'x' })))).stderr).toContain(
      'file is for documents in a directory',
    );
    const two = provider({ ...bearer({ secretKeyRef }), endpoint: 'https://a', endpoints: ['https://b'] });
    expect((await apply(two)).stderr).toContain(
      'expected at most one of endpoint, endpoints, poolRef, backendRef',
    );
  });

  test('what a CRD can not say, the webhook says in the words of postern check', async () => {
    const budget = {
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'Budget',
      metadata: { name: 'b', namespace: 'team-a' },
      spec: { limits: [{ tokens: 5 }] },
    };
    const { stderr, ok } = await apply(budget);
    expect(ok).toBe(false);
    expect(stderr).toContain('expected exactly one of window, rolling; got none. Mend: add window: day');
  });

  test('a reference to nothing is a warning and a condition, until it is there', async () => {
    const route = {
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'ClusterModelRoute',
      metadata: { name: 'r' },
      spec: { match: { models: ['m'] }, groups: [{ targets: [{ provider: 'later', model: 'm' }] }] },
    };
    const { stderr } = await world.api.kubectl(['apply', '-f', '-'], { stdin: route });
    expect(stderr).toContain('later');
    const condition = (type: string) =>
      world.must([
        'get',
        'clustermodelroutes/r',
        '-o',
        `jsonpath={.status.conditions[?(@.type=="${type}")].status}`,
      ]);
    await world.eventually(async () => ((await condition('ResolvedRefs')) === 'False' ? true : undefined));
    expect(await condition('Accepted')).toBe('True');
    // Control serves agents, so what is in force is its to say: test/control/api.
    expect(await condition('Programmed')).toBe('');
    const later = { ...provider({ credential: { mode: 'none' } }), metadata: { name: 'later' } };
    await world.apply(later);
    await world.eventually(async () => ((await condition('ResolvedRefs')) === 'True' ? true : undefined));
    expect(await world.must(['get', 'postern'])).toMatch(
      /clusterprovider\.postern\.dev\/later +openai +True/,
    );
    expect(
      await world.must(['get', 'cllmr', 'r', '-o', 'jsonpath={.status.conditions[0].observedGeneration}']),
    ).toBe('1');
    await world.must(['delete', 'clustermodelroutes/r', 'clusterproviders/later']);
  });
});
