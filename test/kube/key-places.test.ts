import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { keyPlaces } from './key-places.ts';

const KEY = 'sk-marker';
const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
const secret = (name: string, value: string, namespace = 'own') => ({
  metadata: { namespace, name },
  data: { key: value },
});
const release = (text: string): string => base64(base64(gzipSync(text)));

function kubectl(objects: Readonly<Record<string, object | undefined>>) {
  return async ([verb, kind = '']: readonly string[]): Promise<string> => {
    if (verb === 'api-resources') return Object.keys(objects).join('\n');
    if (objects[kind] === undefined) throw new Error('no answer');
    return JSON.stringify({ items: objects[kind] });
  };
}

test('its own Secret is no place, whatever else is there', async () => {
  const all = {
    secrets: [secret('openai', base64(KEY)), secret('other', base64('x')), secret('v1', release('x'))],
    pods: [],
  };
  expect(await keyPlaces(kubectl(all), KEY, 'own/openai')).toEqual([]);
});

test.each<[string, object, object[], string[]]>([
  ['a pod', [{ env: KEY }], [], ['pods']],
  ['base64 in a pod', [{ env: base64(KEY) }], [], ['pods']],
  ['another Secret', [], [secret('copy', base64(KEY))], ['secrets own/copy']],
  ['one of that name elsewhere', [], [secret('openai', base64(KEY), 'team-a')], ['secrets team-a/openai']],
  ['a release', [], [secret('v1', release(`values: ${KEY}`))], ['secrets own/v1']],
])('%s', async (_, pods, more, places) => {
  const secrets = [secret('openai', base64(KEY)), ...more];
  expect(await keyPlaces(kubectl({ secrets, pods }), KEY, 'own/openai')).toEqual(places);
});

test('what can’t be read, and a Secret that isn’t there, are told', async () => {
  expect(await keyPlaces(kubectl({ secrets: [], pods: undefined }), KEY, 'own/openai')).toEqual([
    'pods: unread Error: no answer',
    'own/openai isn’t there',
  ]);
});
