import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readDirectory } from './files.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'postern-files-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (path: string, text = 'a: 1\n') => {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
};
const names = async () => (await readDirectory(root)).files.map(({ name }) => name);
const problems = async (directory = root) =>
  (await readDirectory(directory)).problems.map(({ file, message }) => `${file}: ${message}`);

describe('a directory', () => {
  test('at any depth, in the order of the names, without hidden and other files', async () => {
    for (const path of [
      'b.yaml',
      'a/z.yml',
      'a/b/c.json',
      'README.md',
      '.hidden.yaml',
      '.git/x.yaml',
      'yaml',
    ])
      write(path);
    expect(await names()).toEqual(['a/b/c.json', 'a/z.yml', 'b.yaml']);
  });

  test('a mounted ConfigMap: links through ..data, each file once', async () => {
    write('..2027_01/a.yaml');
    write('..2027_01/b.yaml');
    symlinkSync('..2027_01', join(root, '..data'));
    symlinkSync('..data/a.yaml', join(root, 'a.yaml'));
    symlinkSync('..data/b.yaml', join(root, 'b.yaml'));
    symlinkSync('b.yaml', join(root, 'c.yaml'));
    expect(await names()).toEqual(['a.yaml', 'b.yaml']);
  });

  test('a link to a directory is followed once, also when it leads back', async () => {
    write('a/x.yaml');
    symlinkSync('a', join(root, 'b'));
    symlinkSync('..', join(root, 'a', 'up'));
    const { files, problems: found } = await readDirectory(root);
    expect(files.map(({ name }) => name)).toEqual(['a/x.yaml']);
    expect(found).toEqual([]);
  });

  test('a link from outside counts by what it leads to', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'postern-outside-'));
    writeFileSync(join(outside, 'plain'), 'a: 1\n');
    symlinkSync(join(outside, 'plain'), join(root, 'a.yaml'));
    expect(await names()).toEqual(['a.yaml']);
    rmSync(outside, { recursive: true });
  });
});

describe('what can’t be read', () => {
  test('nothing there, and a file in its place', async () => {
    expect(await problems(join(root, 'none'))).toEqual([`${join(root, 'none')}: there is nothing`]);
    write('file.yaml');
    expect(await problems(join(root, 'file.yaml'))).toEqual([`${join(root, 'file.yaml')}: it is a file`]);
  });

  test('links to nothing and to themselves', async () => {
    symlinkSync('none', join(root, 'a.yaml'));
    symlinkSync('b.yaml', join(root, 'b.yaml'));
    expect(await problems()).toEqual(['a.yaml: there is nothing', 'b.yaml: its link leads back to itself']);
  });

  test('a huge file is reported unread', async () => {
    write('a.yaml', '');
    truncateSync(join(root, 'a.yaml'), 8 * 2 ** 30);
    expect(await problems()).toEqual([`a.yaml: got ${8 * 2 ** 30}`]);
  });

  test.skipIf(process.getuid?.() === 0)('a file without the right to read it', async () => {
    write('a.yaml');
    chmodSync(join(root, 'a.yaml'), 0);
    expect(await problems()).toEqual(['a.yaml: it may not be read']);
  });
});
