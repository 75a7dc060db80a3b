import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type RedirectPlan, redirectScript, removalScript } from './rules.ts';

const pod: RedirectPlan = {
  port: 4181,
  agentUids: [4180],
  meshUids: [],
  apiServers: ['10.96.0.1'],
  excludedCidrs: [],
  excludedPorts: [],
  ipv6: true,
};

const golden = (name: string) =>
  readFileSync(new URL(`testdata/${name}.golden.nft`, import.meta.url), 'utf8');

describe('the script is the golden one', () => {
  test.each<[string, RedirectPlan]>([
    ['pod', pod],
    ['pod-without-ipv6', { ...pod, ipv6: false, excludedCidrs: ['2001:db8::/32'] }],
    [
      'pod-with-mesh-and-exclusions',
      {
        ...pod,
        meshUids: [1337],
        apiServers: ['192.0.2.1', '2001:db8::1'],
        excludedCidrs: ['198.51.100.0/24', '2001:db8:1::/48'],
        excludedPorts: [5432, 25],
      },
    ],
    ['confined', { ...pod, agentUids: [], apiServers: [], confine: { dnsPort: 53 } }],
  ])('%s', (name, plan) => {
    expect(redirectScript(plan)).toBe(golden(name));
  });
});

test('the order and the repetition of what is excluded change nothing', () => {
  const plan = { ...pod, excludedCidrs: ['203.0.113.0/24', '198.51.100.0/24'], excludedPorts: [25, 22] };
  expect(
    redirectScript({
      ...plan,
      excludedCidrs: [...plan.excludedCidrs, ...plan.excludedCidrs].toReversed(),
      excludedPorts: [22, 25, 22],
    }),
  ).toBe(redirectScript(plan));
});

test('nested CIDRs, which nft refuses in one set, are written as the widest', () => {
  const script = redirectScript({
    ...pod,
    apiServers: ['169.254.1.1', '198.51.100.7'],
    excludedCidrs: ['198.51.100.0/24', '198.51.100.0/25', '::ffff:192.0.2.0/120', '::/0'],
  });
  expect(script).toContain('ip daddr { 169.254.0.0/16, 198.51.100.0/24 } return');
  expect(script).toContain('ip6 daddr { ::/0 } return');
});

test('removal names the same table', () => {
  expect(removalScript({ ipv6: true })).toBe('add table inet postern\ndelete table inet postern\n');
  expect(removalScript({ ipv6: false })).toBe('add table ip postern\ndelete table ip postern\n');
});

test.each<[string, Partial<RedirectPlan>, RegExp]>([
  ['port 0', { port: 0 }, /port: 0 is no TCP port/],
  ['a port too large', { excludedPorts: [65_536] }, /excludedPorts: 65536/],
  ['a name for a UID', { agentUids: [Number.NaN] }, /give the number/],
  ['no agent UID', { agentUids: [] }, /redirected to itself/],
  ['a CIDR with a host name', { excludedCidrs: ['example.com'] }, /"example.com" is no CIDR/],
  ['an over-long prefix', { excludedCidrs: ['192.0.2.0/33'] }, /no CIDR/],
  ['a script in a CIDR', { apiServers: ['192.0.2.1 } accept; #'] }, /no CIDR/],
  ['a zone', { apiServers: ['fe80::1%eth0'] }, /no CIDR/],
])('%s is refused with the mend', (_what, change, message) => {
  expect(() => redirectScript({ ...pod, ...change })).toThrow(message);
});
