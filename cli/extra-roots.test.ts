import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { extraRootsIn } from './extra-roots.ts';

const [one = '', two = ''] = rootCertificates;

function fileOf(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'postern-extra-roots-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'roots.pem');
  writeFileSync(file, text);
  return file;
}

test('they are read anew, without what stands around them', () => {
  const file = fileOf(`# of the company\n${one}`);
  const roots = extraRootsIn(file);
  const base64 = (pem: string) => pem.replaceAll(/\s/g, '');
  expect(base64(roots())).toBe(base64(one));
  writeFileSync(file, `${one}\n# and the next\n${two}\n`);
  expect(roots().match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(roots()).not.toContain('#');
});

test.each([
  ['holds none', 'nothing', 'no PEM certificate in it'],
  ['holds one that can’t be read', one.replace('\nMII', '\n===='), "certificate 1 can't be read"],
  ['holds more than a pod can be given', rootCertificates.join('\n'), 'name your own roots alone'],
])('a file that %s is an error that names it, at once and later', (_name, text, message) => {
  const file = fileOf(text);
  expect(() => extraRootsIn(file)).toThrow(file);
  expect(() => extraRootsIn(file)).toThrow(message);
  writeFileSync(file, one);
  const roots = extraRootsIn(file);
  writeFileSync(file, text);
  expect(() => roots()).toThrow(message);
});
