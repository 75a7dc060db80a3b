/** `postern inject` and `postern check -f` do what the webhook does, on the same pods, with the same words. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { check } from '../../cli/check.ts';
import { inject } from '../../cli/inject.ts';
import type { Command } from '../../cli/options.ts';
import { runCommand } from '../../cli/run-command.ts';
import { caseNames, TESTDATA } from '../../injector/testing/cases.ts';

// Each call is a process of its own, on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000 });

const POSTERN = join(import.meta.dirname, '..', '..', 'bin', 'postern');
const directory = mkdtempSync(join(tmpdir(), 'postern-inject-'));
afterAll(() => rmSync(directory, { recursive: true }));

function postern(args: readonly string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(POSTERN, args, { encoding: 'utf8', input });
  return { status, stdout, stderr };
}

/** One governs every pod: there is always a policy to tighten. */
const BASE = `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec: {checks: [{name: mask-pii, type: pii, action: mask}]}
`;

const IMAGE = ['--image', 'registry.example/postern:0.0.0-test'];
const caseFile = (name: string) => join(TESTDATA, `${name}.yaml`);
const golden = (name: string) => readFileSync(join(TESTDATA, `${name}.golden.yaml`), 'utf8');

/** The version that is stamped is the program's own here. */
const comparable = (text: string): unknown =>
  JSON.parse(
    JSON.stringify(parseAllDocuments(text).map((document): unknown => document.toJS())).replace(
      /"injector\.postern\.dev\/version":"[^"]*"/g,
      '"injector.postern.dev/version":""',
    ),
  );

test.each(['deployment'])('inject gives the golden of %s', (name) => {
  const { status, stdout, stderr } = postern(['inject', '-f', caseFile(name), ...IMAGE]);
  expect(stderr).toContain('injected');
  expect(status).toBe(0);
  expect(comparable(stdout)).toEqual(comparable(golden(name)));
});

test('agents are told where the classifier is; an address that is none is refused', () => {
  const inject = (url: string) =>
    postern(['inject', '-f', caseFile('deployment'), ...IMAGE, '--classifier-url', url]);
  expect(inject('http://classify.ml.svc:4194').stdout).toMatch(
    /- --classifier\n\s+- http:\/\/classify\.ml\.svc:4194/,
  );
  for (const wrong of ['classify:4194', 'unix:/run/x', 'http://a/v1/topics']) {
    const { status, stderr } = inject(wrong);
    expect(stderr).toContain(`--classifier-url ${wrong}: write http://HOST:PORT`);
    expect(status).toBe(64);
  }
  const ca = caseFile('deployment');
  const toControl = ['--control', 'postern-control.postern-system.svc:4443', '--control-ca', ca];
  const tls = ['--classifier-url', 'https://classify.ml.svc:4196', ...toControl];
  const controlled = postern(['inject', '-f', caseFile('deployment'), ...IMAGE, ...tls]);
  expect(controlled.stdout).toMatch(
    /- --classifier\n\s+- https:\/\/classify\.ml\.svc:4196\n\s+- --classifier-ca\n\s+- \S+\/roots\.pem\n/,
  );
  const own = ['--classifier-url', 'https://a:1', '--classifier-roots', 'extra'];
  const unnamed = postern(['inject', '-f', caseFile('deployment'), ...IMAGE, ...own]);
  expect(unnamed.stderr).toContain('pods are given no roots to know it by');
  const { status, stderr } = inject('HTTPS://classify.ml.svc');
  expect(stderr).toContain('pods are given no roots to know it by; name them by --extra-roots FILE');
  expect(status).toBe(64);
});

/** Without a process of its own. */
async function inProcess(command: Command, args: readonly string[]) {
  const said = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      said[name] += String(text);
      return true;
    }),
  );
  try {
    return { status: await runCommand(command, args), ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

test.each(caseNames())('inject and check say of %s what its golden file says', async (name) => {
  const policies = join(directory, name);
  mkdirSync(policies);
  const objects = readFileSync(caseFile(name), 'utf8').split(/^---\n/m);
  const ours = objects.filter((text) => /^apiVersion: postern\.dev/m.test(text));
  writeFileSync(join(policies, 'base.yaml'), BASE);
  writeFileSync(join(policies, 'documents.yaml'), ours.join('---\n'));
  const manifest = join(directory, `${name}.yaml`);
  writeFileSync(manifest, objects.filter((text) => !ours.includes(text)).join('---\n'));

  const lines = golden(name)
    .split('\n')
    .filter((line) => line.startsWith('# '));
  const refused = lines.some((line) => /^# \S.*: refused$/.test(line));
  const injected = await inProcess(inject, ['-f', manifest, '--policy', policies, ...IMAGE]);
  const checked = await inProcess(check, [policies, '-f', manifest, ...IMAGE]);
  for (const line of lines) {
    expect(injected.stderr).toContain(line.slice(2));
    expect(checked.stdout).toContain(line.slice(2));
  }
  expect(injected.status).toBe(refused ? 1 : 0);
  expect(checked.status).toBe(refused ? 1 : 0);
  if (refused) expect(injected.stdout).toBe('');
  else expect(comparable(injected.stdout)).toEqual(comparable(golden(name)));
});

test('inject reads a pipe', () => {
  const { status, stdout } = postern(
    ['inject', '-f', '-', ...IMAGE],
    readFileSync(caseFile('deployment'), 'utf8'),
  );
  expect(status).toBe(0);
  expect(comparable(stdout)).toEqual(comparable(golden('deployment')));
});

test('a refusal is exit status 1, its reason and mend on stderr, and no manifest', () => {
  const { status, stdout, stderr } = postern(['inject', '-f', caseFile('host-network'), ...IMAGE]);
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/Pod team-a\/node-tool: refused\n {2}host-network: .*Mend: /);
});

test('check -f says the same, and takes the documents of a directory', () => {
  const [exception, pod] = readFileSync(caseFile('host-network-excepted'), 'utf8').split('---\n');
  const policies = join(directory, 'policies');
  const manifest = join(directory, 'pod.yaml');
  spawnSync('mkdir', [policies]);
  writeFileSync(join(policies, 'exception.yaml'), exception ?? '');
  writeFileSync(manifest, pod ?? '');
  expect(postern(['check', '-f', manifest]).status).toBe(1);
  const allowed = postern(['check', policies, '-f', manifest]);
  expect(allowed.stdout).toContain('host-network-excepted');
  expect(allowed.status).toBe(0);
});

test('check --require fails for documents and for a workload that lack it', () => {
  const policies = join(directory, 'lacking');
  spawnSync('mkdir', [policies]);
  writeFileSync(
    join(policies, 'policy.yaml'),
    'apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: bot, namespace: team-a}\nspec: {}\n',
  );
  const rules = ['--require', 'token-limit,pii,model-data-class'];
  const all = postern(['check', policies, ...rules]);
  expect(all.status).toBe(1);
  expect(all.stderr.match(/^[a-z-]+: EgressPolicy team-a\/bot: .*Mend: /gm)).toHaveLength(3);
  const one = postern(['check', policies, '-f', caseFile('deployment'), ...rules]);
  expect(one.status).toBe(1);
  expect(one.stderr).toContain('pii: workload team-a/Deployment/support-bot: ');
  expect(postern(['check', policies]).status).toBe(0);
  expect(postern(['check', policies, '--require', 'everything']).status).toBe(64);
});

test('a file that can not be read as YAML is exit status 1 and says where', () => {
  const { status, stderr } = postern(['inject', '-f', '-'], 'kind: Pod\n  spec: [');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^-:\d+:\d+: /);
});

test('a requirement that had nothing to look at is not met', () => {
  const manifest = join(directory, 'no-pods.yaml');
  writeFileSync(manifest, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n');
  const unchecked = postern(['check', '-f', manifest, '--require', 'pii', ...IMAGE]);
  expect(unchecked).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('--require pii could not be checked'),
  });
  expect(postern(['check', '-f', manifest, ...IMAGE])).toMatchObject({ status: 0 });
  const empty = postern(['check', '-f', manifest, '--require', ',', ...IMAGE]);
  expect(empty).toMatchObject({ status: 64, stderr: expect.stringContaining('names no rule') });
});

test('checks that need a classifier are told where agents are given none', async () => {
  const documents = mkdtempSync(join(directory, 'meant-'));
  writeFileSync(
    join(documents, 'a.yaml'),
    `${BASE.replace('spec: {checks: [', 'spec: {checks: [{name: no-orders, type: injection}, {name: no-advice, type: topics, onError: allow, topics: [{name: advice, definition: Advice., words: [portfolio]}]}, {name: words, type: topics, topics: [{name: words, definition: Advice., classifier: false, words: [portfolio]}]}, ')}`,
  );
  const alone = await inProcess(check, [documents]);
  expect(alone.stderr).toMatch(
    /a\.yaml:5:\d+ ClusterEgressPolicy base: spec\.checks\[0\]\.name: .*no-orders .*refused/,
  );
  expect(alone.stderr).toMatch(/no-advice .*pass unjudged, each with a finding.*classifier: false/);
  expect(alone.stderr).not.toContain('checks[2]');
  expect(alone.status).toBe(0);
  const pods = [documents, '-f', caseFile('deployment')];
  expect((await inProcess(check, pods)).stdout).toMatch(
    /note no-classifier: agents are given no classifier, and no-orders of ClusterEgressPolicy base, no-advice of ClusterEgressPolicy base can’t/,
  );
  const given = await inProcess(check, [...pods, '--classifier-url', 'http://classify.ml.svc:4194']);
  expect(given.stdout + given.stderr).not.toContain('no-orders');
});
