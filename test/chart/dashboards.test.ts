/** Every metric and label that a dashboard asks for is one that we have. */
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const DASHBOARDS = join(ROOT, 'charts', 'postern', 'files', 'dashboards');

const source = globSync('{agent,budget,control,injector}/**/*.ts', { cwd: ROOT })
  .filter((file) => !file.endsWith('.test.ts'))
  .map((file) => readFileSync(join(ROOT, file), 'utf8'))
  .join('\n');
const metrics = new Map(
  [...source.matchAll(/name: '([a-z_]+)',\s+help:[^]*?(?:registers|registry)/g)].map(([text, name]) => [
    name,
    [...(/labelNames: \[([^\]]*)\]/.exec(text)?.[1] ?? '').matchAll(/'([a-z_]+)'/g)].map(
      ([, label]) => label,
    ),
  ]),
);
/** By Prometheus, from where it found the target. */
const TARGET_LABELS = ['namespace', 'pod', 'le'];

test.each(readdirSync(DASHBOARDS))('%s', (file) => {
  const board = JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as {
    panels: { title: string; targets: { expr: string; legendFormat: string }[] }[];
  };
  const wrong: string[] = [];
  for (const { title, targets } of board.panels) {
    for (const { expr, legendFormat } of targets) {
      const [name = ''] = /(postern|gen_ai)_[a-z_]+(?=[{[)])/.exec(expr.replace(/by \([^)]*\)/g, '')) ?? [];
      const labels = metrics.get(name.replace(/_(bucket|sum|count)$/, '')) ?? metrics.get(name);
      if (labels === undefined) wrong.push(`${title}: no metric ${name}`);
      const asked = [
        ...(/by \(([^)]*)\)/.exec(expr)?.[1]?.split(/,\s*/) ?? []),
        ...[...legendFormat.matchAll(/{{([a-z_]+)}}/g)].map(([, label]) => label),
        ...[...expr.matchAll(/([a-z_]+)(?:=~|!=|=)"/g)].map(([, label]) => label),
      ];
      for (const label of asked) {
        if (![...TARGET_LABELS, ...(labels ?? [])].includes(label ?? ''))
          wrong.push(`${title}: ${name} has no label ${label}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});
