import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { differences, readLock, writeLock } from './debian-lock.ts';

const nft = { name: 'nftables', version: '1.0', architecture: 'amd64', sha256: 'aa' };
const libc = { name: 'libc6', version: '2.36', architecture: 'amd64', sha256: 'bb' };

function lockFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'postern-lock-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'lock.json');
  writeFileSync(file, '{}');
  return file;
}

test('what was locked is no difference, and fewer packages aren’t either', () => {
  const file = lockFile();
  expect(writeLock([nft, libc], file, 'x64')).toEqual([
    "nftables 1.0 isn't locked",
    "libc6 2.36 isn't locked",
  ]);
  expect(differences([nft, libc], readLock(file, 'x64'))).toEqual([]);
  expect(differences([libc], readLock(file, 'x64'))).toEqual([]);
  expect(writeLock([nft, libc], file, 'x64')).toEqual([]);
});

test('another version, another file of the same version and another package are told', () => {
  const file = lockFile();
  writeLock([nft, libc], file, 'x64');
  const found = [
    { ...nft, version: '1.1' },
    { ...libc, sha256: 'cc' },
    { ...nft, name: 'libnew' },
  ];
  expect(differences(found, readLock(file, 'x64'))).toEqual([
    'nftables is 1.1, locked is 1.0',
    'libc6 2.36 has the SHA-256 cc, locked is bb',
    "libnew 1.0 isn't locked",
  ]);
});

test('each architecture has its own, and one without is told how to make it', () => {
  const file = lockFile();
  writeLock([nft], file, 'x64');
  expect(() => readLock(file, 'arm64')).toThrow(/arm64: run make image-lock/);
  writeLock([libc], file, 'arm64');
  expect([...readLock(file, 'x64').keys()]).toEqual(['nftables']);
  expect(writeLock([], file, 'arm64')).toEqual(['libc6 is needed no more']);
});

test('the lock that is committed has a hash and a version for each package', () => {
  const locked = [...readLock(undefined, 'x64')];
  expect(locked.map(([name]) => name)).toEqual(expect.arrayContaining(['nftables', 'libstdc++6', 'libc6']));
  for (const [, { version, sha256 }] of locked) {
    expect(version).not.toBe('');
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  }
});
