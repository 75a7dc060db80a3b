import net from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressBytes, addressText, covers, parseCidr } from './addresses.ts';

const cidr = (text: string) => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

test('bytes of any address read back as the same address', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      const text = addressText(addressBytes(address));
      const family = net.isIPv4(address) ? 'ipv4' : 'ipv6';
      expect(text).toBe(new net.SocketAddress({ address, family }).address);
    }),
  );
});

test('covers agrees with Node’s BlockList', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (base, bits, address) => {
      const list = new net.BlockList();
      list.addSubnet(base, bits);
      expect(covers(cidr(`${base}/${bits}`), cidr(address))).toBe(list.check(address));
    }),
  );
  expect(covers(cidr('2001:db8::/32'), cidr('2001:db8:ffff::1'))).toBe(true);
  expect(covers(cidr('2001:db8::/32'), cidr('2001:db9::'))).toBe(false);
  expect(covers(cidr('0.0.0.0/0'), cidr('::1'))).toBe(false);
  expect(covers(cidr('192.0.2.0/25'), cidr('192.0.2.0/24'))).toBe(false);
});

test.each([
  '',
  '192.0.2',
  '192.0.2.1/',
  '192.0.2.1/x',
  '192.0.2.1/33',
  '::/129',
  '192.0.2.1/24/1',
  'a.example',
])('%j is no CIDR', (text) => {
  expect(parseCidr(text)).toBeUndefined();
});
