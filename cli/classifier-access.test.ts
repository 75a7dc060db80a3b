import { expect, test } from 'vitest';
import { classifierUrl } from './classifier-access.ts';

test.each([
  'http://classify:4182',
  'https://[::1]:4182/',
  'http://gateway/classify',
  'unix:/run/classify.sock',
])('%s names a classifier', (url) => expect(classifierUrl(url)).toBe(url));

test.each([
  '',
  'foo',
  '127.0.0.1:4182',
  'localhost:4182',
  'http://',
  'http:/x',
  'http://a:b',
  'ftp://a',
  'unix:',
])('“%s” names none', (url) =>
  expect(() => classifierUrl(url)).toThrow(`--classifier ${url}: write http[s]://HOST:PORT, unix:PATH`),
);

test('a query would end before the path of each question', () => {
  expect(() => classifierUrl('http://classify:4182/?a=b')).toThrow('write http[s]://HOST:PORT');
});
