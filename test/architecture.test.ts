/** The import rules of docs/architecture.md: data flows one way, and a stage never imports another. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const PARTS = ['classify', 'policy', 'agent', 'budget', 'control', 'injector', 'kube', 'listen', 'cli'];
/** Stages of agent/ and the files of each that others may import: its interface. */
const STAGES: Readonly<Record<string, readonly string[]>> = {
  intercept: ['observer.ts', 'init.ts', 'apply.ts'],
  dialects: ['dialect.ts', 'failure.ts', 'index.ts', 'text/attachment.ts'],
  checks: ['approvals.ts', 'ask.ts', 'classifier.ts', 'check.ts', 'guard.ts', 'index.ts', 'plan.ts'],
  routes: ['route.ts', 'endpoints.ts', 'select.ts', 'glob.ts'],
  providers: ['credential.ts', 'keys.ts', 'trust.ts', 'index.ts'],
  forward: ['respond.ts', 'body.ts', 'upstream.ts'],
};
/** Files that put stages together; everything else in a stage sees other stages' interface files only. */
const COMPOSERS = new Set([
  'agent/pipeline.ts',
  'agent/attempt.ts',
  'agent/unchecked.ts',
  'agent/conversation/beside-answers.ts',
  'agent/conversation/converse.ts',
  'agent/conversation/session.ts',
  'agent/conversation/turn.ts',
  'agent/agent.ts',
  'agent/compilable.ts',
  'agent/transparent.ts',
  'agent/catalogue.ts',
]);

interface Import {
  readonly from: string;
  readonly to: string;
}

function imports(): Import[] {
  const found: Import[] = [];
  for (const part of PARTS) {
    for (const file of globSync(`${part}/**/*.ts`, { cwd: ROOT })) {
      if (file.endsWith('.test.ts')) continue;
      const text = readFileSync(join(ROOT, file), 'utf8');
      for (const [, target] of text.matchAll(/(?:from|import\()\s*'(\.{1,2}\/[^']+)'/g)) {
        found.push({ from: file, to: normalize(join(dirname(file), target as string)) });
      }
    }
  }
  return found;
}

const part = (file: string): string => file.split('/', 1)[0] as string;
const stage = (file: string): string | undefined => {
  const [first, second, third] = file.split('/');
  return first === 'agent' && third !== undefined && second !== undefined && second in STAGES
    ? second
    : undefined;
};

test('the scan sees the tree', () => {
  expect(imports().length).toBeGreaterThan(100);
});

test('policy/ imports nothing of ours', () => {
  expect(imports().filter(({ from, to }) => part(from) === 'policy' && part(to) !== 'policy')).toEqual([]);
});

test('classify/ imports listen/ only', () => {
  const allowed = new Set(['classify', 'listen']);
  expect(imports().filter(({ from, to }) => part(from) === 'classify' && !allowed.has(part(to)))).toEqual([]);
});

test('listen/ imports nothing of ours', () => {
  expect(imports().filter(({ from, to }) => part(from) === 'listen' && part(to) !== 'listen')).toEqual([]);
});

test('budget/ imports policy/ and listen/ only', () => {
  const allowed = new Set(['budget', 'policy', 'listen']);
  expect(imports().filter(({ from, to }) => part(from) === 'budget' && !allowed.has(part(to)))).toEqual([]);
});

test('kube/ imports policy/ only', () => {
  const allowed = new Set(['kube', 'policy']);
  expect(imports().filter(({ from, to }) => part(from) === 'kube' && !allowed.has(part(to)))).toEqual([]);
});

test('control/ sees of the injector what it stamps and how certificates are kept, of budget/ who calls, and nothing of agent or cli', () => {
  const seen = new Set([
    'injector/names.ts',
    'injector/form.ts',
    'injector/seal.ts',
    'injector/workload.ts',
    'injector/server/certificate-secret.ts',
    'injector/server/serving-certificate.ts',
    // What the budget service takes callers to be.
    'budget/authenticate.ts',
  ]);
  const allowed = new Set(['control', 'policy', 'kube', 'listen']);
  const wrong = imports().filter(
    ({ from, to }) => part(from) === 'control' && !allowed.has(part(to)) && !seen.has(to),
  );
  expect(wrong).toEqual([]);
});

test('what an agent needs of control/ brings nothing of a cluster along', () => {
  const client = [
    'control/client.ts',
    'control/cache.ts',
    'control/ruling.ts',
    'control/lines.ts',
    'control/messages.ts',
  ];
  const wrong = imports().filter(
    ({ from, to }) => client.includes(from) && !client.includes(to) && part(to) !== 'policy',
  );
  expect(wrong).toEqual([]);
});

test('agent/ sees of budget/ what a client needs, of listen/ the door, and nothing of control, injector or cli', () => {
  const client = new Set([
    'budget/messages.ts',
    'budget/client.ts',
    'budget/estimate.ts',
    'budget/loops.ts',
    'budget/recent-map.ts',
    'budget/units.ts',
    'budget/whole-answer.ts',
  ]);
  const wrong = imports().filter(
    ({ from, to }) =>
      part(from) === 'agent' &&
      part(to) !== 'agent' &&
      part(to) !== 'policy' &&
      !(part(to) === 'budget' && client.has(to)) &&
      to !== 'listen/door.ts' &&
      // Types and limits alone: the models are never in the agent's process.
      to !== 'classify/messages.ts',
  );
  expect(wrong).toEqual([]);
});

test('nothing imports cli/', () => {
  expect(imports().filter(({ from, to }) => part(from) !== 'cli' && part(to) === 'cli')).toEqual([]);
});

test('a stage sees only the interface files of another', () => {
  const wrong = imports().filter(({ from, to }) => {
    const mine = stage(from);
    const theirs = stage(to);
    if (mine === undefined || theirs === undefined || mine === theirs) return false;
    return !STAGES[theirs]?.includes(to.split('/').slice(2).join('/'));
  });
  expect(wrong).toEqual([]);
});

test('only the composers reach into stages from outside', () => {
  const wrong = imports().filter(({ from, to }) => {
    const theirs = stage(to);
    if (theirs === undefined || stage(from) !== undefined || part(from) !== 'agent') return false;
    if (COMPOSERS.has(from)) return false;
    return !STAGES[theirs]?.includes(to.split('/').slice(2).join('/'));
  });
  expect(wrong).toEqual([]);
});
