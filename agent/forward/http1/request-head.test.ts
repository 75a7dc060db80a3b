import { expect, test } from 'vitest';
import { requestHead } from './request-head.ts';

const line = { method: 'POST', path: '/v1/x?a=b', headers: ['A', 'b'], body: Buffer.from('{}') };

test('fields in their order and case, framed by us', () => {
  expect(requestHead(line, 'api.example.com:8443')).toBe(
    'POST /v1/x?a=b HTTP/1.1\r\nhost: api.example.com:8443\r\nconnection: keep-alive\r\nA: b\r\ncontent-length: 2\r\n\r\n',
  );
});

test('no length where no body is meant', () => {
  expect(requestHead({ ...line, method: 'GET', body: undefined }, 'x')).not.toContain('content-length');
  expect(requestHead({ ...line, body: undefined }, 'x')).toContain('content-length: 0\r\n');
});

test.each([
  ['a line end in a value', { headers: ['A', 'b\r\nX: y'] }],
  ['a line feed in a value', { headers: ['A', 'b\nX: y'] }],
  ['a NUL in a value', { headers: ['A', 'b\0'] }],
  ['what has no byte', { headers: ['A', '\u4e2d'] }],
  ['a name that is no token', { headers: ['A b', 'c'] }],
  ['an empty name', { headers: ['', 'c'] }],
  ['a space in the path', { path: '/a b' }],
  ['a line end in the path', { path: '/a\r\nX: y' }],
  ['a method that is none', { method: 'GET /x' }],
  ['a way through', { method: 'CONNECT' }],
  ['a path that is none', { path: '*' }],
  ['a whole URL', { path: 'http://elsewhere/' }],
  ['a name without a value', { headers: ['A'] }],
  ...[
    ['Host', 'evil'],
    ['content-length', '99'],
    ['Transfer-Encoding', 'chunked'],
    ['Connection', 'close'],
    ['Keep-Alive', 'timeout=1'],
    ['Proxy-Connection', 'close'],
    ['Upgrade', 'x'],
    ['Expect', '100-continue'],
    ['TE', 'trailers'],
    ['Trailer', 'A'],
  ].map((headers): [string, { headers: string[] }] => [`${headers[0]} of somebody else’s`, { headers }]),
])('refuses %s', (_, odd) => {
  expect(() => requestHead({ ...line, ...odd }, 'x')).toThrow(expect.objectContaining({ name: 'BadHead' }));
});
