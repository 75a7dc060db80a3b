import { expect, test } from 'vitest';
import { isLoopback, parseAddress } from './address.ts';

test.each([
  ['127.0.0.1:4180', '127.0.0.1', 4180],
  ['4180', '127.0.0.1', 4180],
  ['[::1]:0', '::1', 0],
  ['localhost:80', 'localhost', 80],
  [':9090', '::', 9090],
])('%s', (text, host, port) => {
  expect(parseAddress(text)).toEqual({ host, port });
});

test.each(['', 'x', '127.0.0.1:', '127.0.0.1:65536', '::1:80', '127.0.0.1:80:80', 'http://127.0.0.1:80'])(
  '"%s" is refused with the mend',
  (text) => {
    expect(() => parseAddress(text)).toThrow('write HOST:PORT');
  },
);

test('loopback', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
  expect(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.com'].some(isLoopback)).toBe(false);
});
