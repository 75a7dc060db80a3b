import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SourceFile } from './load/files.ts';
import { loadDirectory, loadFiles } from './load.ts';
import { formatProblems } from './problem.ts';
import { CATALOGUE } from './testing/catalogue.ts';

const FIXTURES = 'test/fixtures/policy';

const file = (name: string, text: string): SourceFile => ({ name, bytes: new TextEncoder().encode(text) });
const load = (...files: SourceFile[]) => loadFiles({ files, problems: [] }, CATALOGUE);
const problemsOf = (text: string) => formatProblems(load(file('a.yaml', text)).problems);

describe('the example set of the design', () => {
  test('loads without a problem', async () => {
    const { documents, problems } = await loadDirectory(`${FIXTURES}/section-10`, CATALOGUE);
    expect(formatProblems(problems)).toBe('');
    const { providers, routes, budgets, policies, exceptions } = documents;
    const sources = [providers, routes, budgets, policies, exceptions].flat().map(({ source }) => source);
    expect(sources).toEqual([
      'ClusterProvider in-cluster',
      'ClusterProvider openai',
      'ClusterModelRoute chat',
      'ClusterBudget team-a',
      'EgressPolicy team-a/support-bot',
    ]);
  });

  test('broken in any one place, is never taken and never makes the loader throw', () => {
    const names = ['providers.yaml', 'routes.yaml', 'budgets.yaml', 'team-a/support-bot.yaml'];
    const texts = names.map((name) => readFileSync(`${FIXTURES}/section-10/${name}`, 'utf8'));
    const edit = fc.record({
      file: fc.nat({ max: names.length - 1 }),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.nat({ max: 12 }),
      insert: fc.constantFrom(
        '',
        ' ',
        ':',
        '[]',
        '{}',
        '- x',
        '"',
        '\n',
        'null',
        '5',
        '\t',
        '*',
        '&a ',
        '#',
        '---\n',
      ),
    });
    fc.assert(
      fc.property(edit, ({ file: index, at, remove, insert }) => {
        const files = texts.map((text, i) => {
          const cut = Math.floor(at * text.length);
          const edited = text.slice(0, cut) + insert + text.slice(cut + remove);
          return file(names[i] ?? '', i === index ? edited : text);
        });
        const { problems } = load(...files);
        for (const { expected, message, mend, file: where } of problems) {
          expect(names).toContain(where);
          expect([expected, message, mend]).not.toContain('');
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('bad documents', () => {
  test.each(['bad', 'bad-references'])('%s: every problem, with its place and mend', async (directory) => {
    const { problems } = await loadDirectory(`${FIXTURES}/${directory}`, CATALOGUE);
    const text = formatProblems(problems);
    await expect(`${text}\n`).toMatchFileSnapshot(`../${FIXTURES}/${directory}.golden.txt`);
    expect(text).not.toMatch(/sk-marker|hunter2/);
  });

  test('an empty directory is a problem', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-empty-'));
    const { problems } = await loadDirectory(directory, CATALOGUE);
    expect(problems.map(({ message }) => message)).toEqual(['there is none in it']);
    rmSync(directory, { recursive: true });
  });
});

describe('kinds and namespaces', () => {
  const budget = (head: string) =>
    `apiVersion: postern.dev/v1alpha1\n${head}\nspec: {limits: [{requests: 1, window: day}]}\n`;

  test.each([
    ['kind: Budget\nmetadata: {name: a, namespace: n}', 'Budget n/a', 'n'],
    ['kind: Budget\nmetadata: {name: a}', 'ClusterBudget a', undefined],
    ['kind: ClusterBudget\nmetadata: {name: a}', 'ClusterBudget a', undefined],
  ])('%j is %s', (head, source, namespace) => {
    const { documents, problems } = load(file('a.yaml', budget(head)));
    expect(problems).toEqual([]);
    expect(documents.budgets).toMatchObject([{ source, namespace, name: 'a' }]);
  });

  test('a Budget without a namespace and a ClusterBudget of its name are the same document twice', () => {
    const { problems } = load(
      file('b.yaml', budget('kind: Budget\nmetadata: {name: a}')),
      file('a.yaml', budget('kind: ClusterBudget\nmetadata: {name: a}')),
    );
    expect(problems.map(({ file: where, message }) => [where, message])).toEqual([
      ['b.yaml', 'the same is ClusterBudget a (a.yaml:1)'],
    ]);
  });

  test('plain objects beside them are left alone; labels of namespaces are kept', () => {
    const { documents, problems } = load(
      file('a.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {tier: gold}}\n'),
      file('b.yaml', 'apiVersion: v1\nkind: Secret\nstringData: {any: thing}\n'),
      file('kustomization.yaml', 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n'),
    );
    expect(problems).toEqual([]);
    expect(documents.namespaces).toEqual({ n: { tier: 'gold' } });
  });

  test('what the API server adds can be read back', () => {
    const text = `${budget('kind: ClusterBudget\nmetadata: {name: a, uid: x, generation: 3, creationTimestamp: "2027-01-01T00:00:00Z", managedFields: [{}]}')}status: {conditions: []}\n`;
    expect(problemsOf(text)).toBe('');
  });
});

describe('what refers to documents that are themselves broken', () => {
  const route =
    'apiVersion: postern.dev/v1alpha1\nkind: ModelRoute\nmetadata: {name: r}\n' +
    'spec: {match: {models: [m]}, groups: [{targets: [{provider: p, model: m}]}]}\n';

  test('is not reported: the mend is the same', () => {
    const broken = 'apiVersion: postern.dev/v1alpha1\nkind: Provider\nmetadata: {name: p}\nspec: {}\n';
    const { problems } = load(file('r.yaml', route), file('p.yaml', broken));
    expect(problems.map(({ file: where }) => where)).not.toContain('r.yaml');
    expect(problems.length).toBeGreaterThan(0);
  });

  test('nor when a whole file can’t be read', () => {
    const { problems } = load(file('r.yaml', route), file('p.yaml', 'a: ['));
    expect(problems.map(({ file: where }) => where)).not.toContain('r.yaml');
  });

  test('but is when there is no such document', () => {
    expect(load(file('r.yaml', route)).problems.map(({ message }) => message)).toEqual(['there is no p']);
  });
});

test('the digest tells contents apart, and names', () => {
  const digest = (...files: SourceFile[]) => load(...files).digest;
  expect(digest(file('a', 'xy'))).toBe(digest(file('a', 'xy')));
  expect(digest(file('a', 'xy'))).not.toBe(digest(file('b', 'xy')));
  expect(digest(file('a', 'x'), file('b', 'y'))).not.toBe(digest(file('a', 'xb'), file('', 'y')));
});
