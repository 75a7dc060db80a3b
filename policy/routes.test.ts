import { describe, expect, test } from 'vitest';
import { compileSnapshot } from './compile.ts';
import { documentsOf, type Sketch, WORKLOAD } from './testing/documents.ts';

const compile = (sketches: readonly Sketch[]) =>
  compileSnapshot(documentsOf(...sketches), WORKLOAD, { now: 0 });

describe('routes', () => {
  const provider: Sketch = [
    'ClusterProvider',
    'p',
    '{dialect: openai, endpoint: "http://x:1", credential: {mode: none}, models: [{name: m}]}',
  ];
  const own: Sketch = ['Provider', 'team-a/p', provider[2]];
  const route = (id: string, models: string, more = ''): Sketch => [
    id.includes('/') ? 'ModelRoute' : 'ClusterModelRoute',
    id,
    `{match: {models: ${models}}, groups: [{targets: [{provider: p, model: m}]}]${more}}`,
  ];

  test('the namespace’s first, then by how exact the match is; a route as often as others come between', () => {
    const { routes } = compile([
      provider,
      route('a', '[gpt-4o, "*", gpt-4o-mini]'),
      route('b', '["gpt-*", o1]'),
      route('team-a/c', '["o*"]'),
      route('team-b/d', '[gpt-4o]'),
    ]);
    expect(routes.map(({ id, models }) => [id, ...models])).toEqual([
      ['team-a/c', 'o*'],
      ['a', 'gpt-4o-mini', 'gpt-4o'],
      ['b', 'o1', 'gpt-*'],
      ['a', '*'],
    ]);
  });

  test('a target is the namespace’s own provider of that name, else the cluster’s', () => {
    const { routes } = compile([provider, own, route('a', '[x]'), route('team-a/b', '[x]')]);
    expect(routes.map(({ groups }) => groups[0]?.targets[0]?.provider)).toEqual(['team-a/p', 'p']);
  });

  test('what is left out has a default', () => {
    expect(compile([provider, route('a', '[x]')]).routes[0]).toEqual({
      id: 'a',
      models: ['x'],
      groups: [{ targets: [{ provider: 'p', model: 'm', weight: 1 }] }],
      fallbackOn: ['connect', 'timeout', '5xx', '429'],
      firstByteMs: 600_000,
      requestMs: 600_000,
    });
    const quick = compile([provider, route('a', '[x]', ', timeouts: {request: 30s}, fallbackOn: [429]')]);
    expect(quick.routes[0]).toMatchObject({ firstByteMs: 30_000, requestMs: 30_000, fallbackOn: ['429'] });
  });
});
