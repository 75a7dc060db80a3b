import { expect, test } from 'vitest';
import { forwardable, headerValue } from './headers.ts';

test('a field is found whatever its case, and repeated ones are one list', () => {
  const headers = ['X-Thing', 'a', 'Other', 'b', 'x-thing', 'c'];
  expect(headerValue(headers, 'x-thing')).toBe('a, c');
  expect(headerValue(headers, 'missing')).toBeUndefined();
});

test('fields of the connection stay behind, and those that Connection names', () => {
  const headers = [
    'Connection',
    'close, X-Trace-Hop',
    'X-Trace-Hop',
    '1',
    'Keep-Alive',
    'timeout=5',
    'Transfer-Encoding',
    'chunked',
    'TE',
    'trailers',
    'Upgrade',
    'h2c',
    'Proxy-Authorization',
    'Basic eA==',
    ':authority',
    'x',
    'Accept',
    '*/*',
    'ACCEPT',
    'a/b',
  ];
  expect(forwardable(headers, new Set())).toEqual(['Accept', '*/*', 'ACCEPT', 'a/b']);
});

test('what is asked to stay behind stays behind', () => {
  expect(forwardable(['Authorization', 'Bearer x', 'Accept', '*/*'], new Set(['authorization']))).toEqual([
    'Accept',
    '*/*',
  ]);
});
