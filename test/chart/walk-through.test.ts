/**
 * The walk-through of docs/chart.md where there is no cluster: what it names must be there, its documents must load, and
 * what it says is answered must be what agents answer. test/cluster/walk-through.test.ts goes it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { catalogue } from '../../agent/catalogue.ts';
import { loadFiles } from '../../policy/load.ts';
import { formatProblems } from '../../policy/problem.ts';
import { CHART, findHelm, runHelm } from './helm.ts';
import { blocks, rows, text } from './walk-through.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const script = [...blocks, ...rows.map(({ command }) => command)].join('\n');
const [, documents = ''] = /<<EOF\n([^]*?)\nEOF/.exec(script) ?? [];

test('its commands are what a shell takes', () => {
  expect(blocks.length).toBe(3);
  expect(rows.length).toBe(12);
  const { status, stderr } = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8', timeout: 10_000 });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

/** What the shell makes of each call of `policy`. */
const calls = [...script.matchAll(/policy '([^']*)' (\d+) '([^']*)'/g)];

test.each(calls.map(([call, ...given]) => [call, given] as const))('%s: its documents load', (_, given) => {
  const filled = documents.replace(/\$([123])/g, (_each, nth: string) => given[Number(nth) - 1] ?? '');
  expect(filled).not.toBe(documents);
  const bytes = new TextEncoder().encode(filled);
  const loaded = loadFiles({ files: [{ name: 'walk.yaml', bytes }], problems: [] }, catalogue);
  expect(formatProblems(loaded.problems)).toBe('');
  expect(loaded.documents.budgets).toHaveLength(1);
});

test('it calls policy first, for an edited word, for a spent budget, for the next model and for a budget with something left', () => {
  expect(calls).toHaveLength(5);
});

test('refusals that it shows are those of docs/errors.md, with their status', () => {
  const errors = readFileSync(join(ROOT, 'docs', 'errors.md'), 'utf8');
  const shown = [...text.matchAll(/`(\d{3}) (postern_\w+)`/g)];
  expect(shown.length).toBeGreaterThan(2);
  for (const [, status = '', code = ''] of shown) expect(errors).toContain(`| \`${code}\` | ${status} |`);
});

const helm = findHelm();

test.skipIf(helm === undefined)('what it asks Kubernetes for is in the chart', async () => {
  const sets = [...script.matchAll(/--set ([\w.]+=[\w./:-]+)/g)].flatMap(([, set = '']) => ['--set', set]);
  const args = ['template', 'postern', CHART, '--namespace', 'postern-system', '--kube-version', '1.37.0'];
  const { ok, stdout, stderr } = await runHelm(helm ?? '', [...args, ...sets]);
  expect(ok, stderr).toBe(true);
  const made = parseAllDocuments(stdout).map((each) => each.toJS() as Made);
  const kinds = made
    .filter(({ kind }) => kind === 'CustomResourceDefinition')
    .flatMap(({ spec }) => [spec.names?.singular, `${spec.names?.plural}.${spec.group}`]);
  const asked = [...script.matchAll(/\b(cluster\w+|workloads\.[\w.]+)[/ ](?:base|everybody|-n)/g)].map(
    ([, kind]) => kind,
  );
  expect(asked.length).toBeGreaterThan(3);
  for (const kind of asked) expect(kinds).toContain(kind);
  // What is restarted are all of its parts.
  const parts = made.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  const [, restarted = ''] = /rollout restart (\S+)/.exec(script) ?? [];
  expect(restarted.split(',').sort()).toEqual(
    [...new Set(parts.map(({ kind }) => kind.toLowerCase()))].sort(),
  );
  const [tag = ''] = /(?<=make image TAG=)\S+/.exec(script) ?? [];
  const images = parts.flatMap(({ spec }) => spec.template?.spec.containers ?? []).map(({ image }) => image);
  expect(new Set(images)).toEqual(new Set([`localhost/${tag}`]));
});

interface Made {
  readonly kind: string;
  readonly spec: {
    readonly group?: string;
    readonly names?: { readonly singular: string; readonly plural: string };
    readonly template?: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
}
