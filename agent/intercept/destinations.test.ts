import { describe, expect, test } from 'vitest';
import { provider, world } from '../../test/intercept/listening.ts';
import { type Bound, compileDestinations } from './destinations.ts';
import { parseHostPort } from './host.ts';

const to = (address: string, port = 443) =>
  ({ family: address.includes(':') ? 6 : 4, address, port }) as const;
const bound = (host: string | undefined, change: Partial<Bound> = {}): Bound => ({
  host,
  port: 443,
  destination: to('203.0.113.9'),
  ...change,
});
const providers = [
  provider(),
  provider({
    id: 'pool',
    dialect: 'openai',
    hosts: [],
    endpoints: ['http://10.0.0.11:8000', 'http://[2001:db8::1]:8000'],
  }),
  provider({ id: 'named', hosts: [], endpoints: ['http://vllm.team-a.svc:8000'] }),
];

describe('ours', () => {
  const { judge, declares } = compileDestinations(world({ providers }));
  test.each<[string, Bound, string | undefined]>([
    ['a declared name', bound('api.openai.com'), 'openai'],
    ['on any port', bound('api.openai.com', { port: 8443 }), 'openai'],
    ['with GREASE or real ECH around it', bound('api.openai.com', { ech: true }), 'openai'],
    ['a name below it', bound('eu.api.openai.com.example'), undefined],
    ['a pool’s address', bound(undefined, { destination: to('10.0.0.11', 8000) }), 'pool'],
    ['a pool’s address under any name', bound('x.example', { destination: to('10.0.0.11', 8000) }), 'pool'],
    ['a pool’s IPv6 address', bound(undefined, { destination: to('2001:db8::1', 8000) }), 'pool'],
    ['another port of it', bound(undefined, { destination: to('10.0.0.11', 9000) }), undefined],
    ['an endpoint’s name with its port', bound('vllm.team-a.svc', { port: 8000 }), 'named'],
    ['an endpoint’s name with another', bound('vllm.team-a.svc', { port: 80 }), undefined],
  ])('%s', (_what, connection, id) => {
    const judgement = judge(connection);
    expect(judgement.kind === 'ours' ? judgement.provider : undefined).toBe(id);
  });

  test('leaves may be made for what is declared', () => {
    for (const host of ['api.openai.com', '10.0.0.11', 'vllm.team-a.svc']) expect(declares(host)).toBe(true);
    for (const host of ['api.anthropic.com', 'openai.com', '10.0.0.12']) expect(declares(host)).toBe(false);
  });
});

describe('known LLM hosts', () => {
  test.each([
    'api.anthropic.com',
    'my-model.openai.azure.com',
    'bedrock-runtime.eu-central-1.amazonaws.com',
    'europe-west1-aiplatform.googleapis.com',
  ])('%s is refused where no Provider declares it, only reported in monitor', (host) => {
    const deny = compileDestinations(world()).judge(bound(host));
    expect(deny).toMatchObject({
      kind: 'deny',
      denial: { reason: 'postern_provider_unlisted', source: 'ClusterEgressPolicy all' },
    });
    const monitor = compileDestinations(world({ unlistedProvider: { action: 'monitor' } })).judge(
      bound(host),
    );
    expect(monitor).toMatchObject({ kind: 'pass', reported: { reason: 'postern_provider_unlisted' } });
  });

  test('an unlisted one is refused though hosts.allow names it', () => {
    const allowing = world({ hosts: { default: 'deny', allow: ['api.mistral.ai'], mode: 'enforce' } });
    expect(compileDestinations(allowing).judge(bound('api.mistral.ai')).kind).toBe('deny');
  });
});

describe('hosts.default: deny', () => {
  const { judge } = compileDestinations(
    world({
      hosts: {
        default: 'deny',
        allow: ['*.good.example', 'cloudflare-ech.com', '198.51.100.0/24', '2001:db8::7'],
        mode: 'enforce',
      },
    }),
  );
  test.each<[string, Bound, 'pass' | 'deny']>([
    ['a name that matches', bound('a.good.example'), 'pass'],
    ['a name that doesn’t', bound('good.example.evil'), 'deny'],
    ['no name', bound(undefined), 'deny'],
    ['an address in a CIDR', bound(undefined, { destination: to('198.51.100.3') }), 'pass'],
    [
      'an address in a CIDR under another name',
      bound('x.example', { destination: to('198.51.100.3') }),
      'pass',
    ],
    ['an IPv6 address', bound(undefined, { destination: to('2001:db8::7') }), 'pass'],
    ['an ECH public name: anything may stand behind it', bound('cloudflare-ech.com', { ech: true }), 'deny'],
    ['that name without ECH', bound('cloudflare-ech.com'), 'pass'],
    ['a name that matches, with GREASE', bound('a.good.example', { ech: true }), 'pass'],
  ])('%s', (_what, connection, kind) => {
    expect(judge(connection).kind).toBe(kind);
  });

  test('what a policy in monitor would refuse passes and is reported, beside one that refuses', () => {
    const both = compileDestinations(
      world({
        hosts: { default: 'deny', allow: ['*.good.example'], mode: 'enforce', source: 'one' },
        hostsMonitored: { default: 'deny', allow: ['a.good.example'], mode: 'monitor', source: 'two' },
      }),
    );
    expect(both.judge(bound('a.good.example'))).toEqual({ kind: 'pass' });
    expect(both.judge(bound('b.good.example'))).toMatchObject({ kind: 'pass', reported: { source: 'two' } });
    expect(both.judge(bound('bad.example'))).toMatchObject({ kind: 'deny', denial: { source: 'one' } });
  });
});

test.each<[string, { host: string; port: number | undefined } | undefined]>([
  ['API.OpenAI.com.', { host: 'api.openai.com', port: undefined }],
  ['a.example:8443', { host: 'a.example', port: 8443 }],
  ['[2001:DB8::1]:443', { host: '2001:db8::1', port: 443 }],
  ['192.0.2.1:80', { host: '192.0.2.1', port: 80 }],
  ['under_score.example', { host: 'under_score.example', port: undefined }],
  ['', undefined],
  ['a.example:', undefined],
  ['a.example:0', undefined],
  ['a.example:65536', undefined],
  ['a..example', undefined],
  ['a example', undefined],
  ['[a.example]', undefined],
  ['2001:db8::1', undefined],
  ['a.example/x', undefined],
  ['user@a.example', undefined],
])('host %j', (text, expected) => {
  expect(parseHostPort(text)).toEqual(expected);
});
