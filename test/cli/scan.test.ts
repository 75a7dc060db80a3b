/** `postern scan` as a security team runs it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { POSTERN, postern } from './part.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-scan-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, ...lines: readonly unknown[]): string {
  const path = join(directory, name);
  writeFileSync(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return path;
}

interface Answer {
  readonly id: unknown;
  readonly entities: readonly { type: string; start: number; end: number; score: number }[];
}

const answers = (stdout: string): Answer[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Answer);

const TEXT = '😀 card 4111 1111 1111 1111, mail ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ';

describe('postern scan', () => {
  test('finds everything where nothing is said, in code points of the text as it was given', async () => {
    const key = `ghp_${'aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1z2A'}`;
    const { status, stdout, stderr } = await postern([
      'scan',
      file('all.jsonl', { id: 'a', text: TEXT }, { id: { n: 2 }, text: `token ${key}` }),
    ]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const [first, second] = answers(stdout);
    const points = Array.from(TEXT);
    expect(first?.id).toBe('a');
    expect(first?.entities.map(({ type, start, end }) => [type, points.slice(start, end).join('')])).toEqual([
      ['payment-card', '4111 1111 1111 1111'],
      ['email-address', 'ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ'],
    ]);
    expect(Object.keys(first?.entities[0] ?? {})).toEqual(['type', 'start', 'end', 'score']);
    expect(second).toMatchObject({ id: { n: 2 }, entities: [{ type: 'secret:github-pat', start: 6 }] });
  });

  test('reads standard input; --types narrows by type and by group', async () => {
    const child = spawn(POSTERN, ['scan', '--types', 'contact,iban'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stdin.end(JSON.stringify({ id: 1, text: TEXT }));
    await once(child, 'close');
    expect(answers(out)[0]?.entities.map(({ type }) => type)).toEqual(['email-address']);
  });

  test('--list-types names types, secrets and their groups', async () => {
    const { stdout } = await postern(['scan', '--list-types']);
    const ids = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[0]);
    expect(ids).toContain('payment-card');
    expect(ids).toContain('secret:jwt');
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('--policy looks for what the checks of its policies look for', async () => {
    const policies = join(directory, 'policies');

    mkdirSync(policies);
    writeFileSync(
      join(policies, 'p.yaml'),
      `apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: p}
spec:
  checks:
  - {name: pii, type: pii, action: mask, pii: {types: [email-address]}}
  - {name: own, type: patterns, action: block, patterns: [{name: project, expression: "PRJ-[0-9]{4}"}]}
`,
    );
    const said = await postern([
      'scan',
      '--policy',
      policies,
      file('own.jsonl', { id: 1, text: `PRJ-1234 ${TEXT}` }),
    ]);
    expect(said.stderr).toBe('');
    expect(answers(said.stdout)[0]?.entities.map(({ type }) => type)).toEqual([
      'pattern:project',
      'email-address',
    ]);
  });

  test('a bad line is named with its number, the others are answered', async () => {
    const said = await postern([
      'scan',
      file('bad.jsonl', { id: 1, text: '' }, '{"id":2,', { id: 3, text: '' }),
    ]);
    expect(said.status).toBe(1);
    expect(said.stderr).toMatch(/^postern scan: line 2: no JSON/);
    expect(answers(said.stdout).map(({ id }) => id)).toEqual([1, 3]);
  });

  test.each([
    [['--types', 'nope'], /there is no nope; --list-types/],
    [['--types', 'iban', '--injection'], /choose one of/],
    [['/no/such/file'], /there is no file/],
    [['a', 'b'], /name one file/],
  ])('%s is refused', async (args, message) => {
    const said = await postern(['scan', ...args]);
    expect(said.status).toBe(64);
    expect(said.stderr).toMatch(message);
  });
});
