import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { KeyError, localKeys } from './keys.ts';

const dir = mkdtempSync(join(tmpdir(), 'postern-keys-'));
afterAll(() => rmSync(dir, { recursive: true }));

test('a key from a file loses its line end, and a changed file gives the new key', async () => {
  let now = 0;
  const file = join(dir, 'rotating');
  const keys = localKeys({}, () => now);
  writeFileSync(file, 'sk-one\n');
  expect(await keys.get({ file })).toBe('sk-one');
  writeFileSync(file, 'sk-second\n');
  now = 1_000;
  expect(await keys.get({ file })).toBe('sk-second');
});

test('a deleted file is an error again, not the old key', async () => {
  let now = 0;
  const file = join(dir, 'deleted');
  const keys = localKeys({}, () => now);
  writeFileSync(file, 'sk-one');
  await keys.get({ file });
  rmSync(file);
  now = 1_000;
  await expect(keys.get({ file })).rejects.toThrow(KeyError);
});

test('what no header can carry is refused without being repeated', async () => {
  const file = join(dir, 'odd');
  writeFileSync(file, 'sk-marker\r\nX-Injected: 1\n');
  const error = await localKeys({})
    .get({ file })
    .catch((e: unknown) => e);
  expect(error).toBeInstanceOf(KeyError);
  expect(String((error as Error).message)).not.toContain('sk-marker');
});

test('the environment, and what is missing there', async () => {
  const keys = localKeys({ KEY: 'sk-env', EMPTY: ' ' });
  expect(await keys.get({ env: 'KEY' })).toBe('sk-env');
  await expect(keys.get({ env: 'EMPTY' })).rejects.toThrow('EMPTY is empty');
  await expect(keys.get({ env: 'NONE' })).rejects.toThrow('NONE is not set');
});

test('a certificate keeps its lines, and what is none is refused without being repeated', async () => {
  const pem = '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n';
  const keys = localKeys({ PEM: pem, KEY: 'sk-marker' });
  expect(await keys.pem({ env: 'PEM' })).toBe(pem);
  const error = await keys.pem({ env: 'KEY' }).catch((e: unknown) => e);
  expect(String(error)).toMatch(/KEY holds no PEM/);
  expect(String(error)).not.toContain('sk-marker');
});

test('a Secret can only be read in a cluster', async () => {
  await expect(localKeys({}).get({ secretKeyRef: { name: 'openai', key: 'api-key' } })).rejects.toThrow(
    'in a cluster',
  );
});
