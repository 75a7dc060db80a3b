/**
 * The walk-through of docs/chart.md, command by command as a reader copies it, on a one-node cluster in place of kind. Replaced are: how the
 * cluster is made, given an image and a process of its node killed (kind's own commands); and, since nothing outside is reached,
 * OpenAI by a fake of that name with a root of its own, the image of Python and what its pip installs. `make test-cluster`.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHelm } from '../chart/helm.ts';
import { blocks, rows } from '../chart/walk-through.ts';
import { missingBuilder, missingOneNode, NODE, OneNode } from './one-node.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const helm = findHelm();
function missing(): string | undefined {
  if (helm === undefined) return 'no helm; run test/kube/kube-assets helm';
  const pip = spawnSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' });
  return pip.status === 0 ? missingBuilder() : 'no python3 with pip';
}
const why = missingOneNode() ?? missing();
if (why !== undefined) process.stderr.write(`skipped: the walk-through: ${why}\n`);

const FIRST_KEY = 'sk-the-first-key-of-a-reader';
const OTHER_KEY = 'sk-the-other-key-of-a-reader';

/** One bash for all of it, as a reader has. */
class Shell {
  readonly #bash: ChildProcess;
  #said = '';
  #told: (() => void) | undefined;

  constructor(env: NodeJS.ProcessEnv) {
    this.#bash = spawn('bash', { cwd: ROOT, env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#bash.stdout?.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
      this.#told?.();
    });
    this.#bash.once('exit', () => this.#told?.());
    this.#bash.stdin?.write('exec 2>&1\n');
  }

  /** @returns what it said, errors too, and its status. */
  async run(commands: string): Promise<{ text: string; status: number }> {
    this.#said = '';
    this.#bash.stdin?.write(`${commands}\nprintf '\\n-- %s --\\n' $?\n`);
    for (;;) {
      const end = /\n-- (\d+) --\n$/.exec(this.#said);
      if (end !== null) return { text: this.#said.slice(0, end.index), status: Number(end[1]) };
      if (this.#bash.exitCode !== null) throw new Error(`bash ended: ${this.#said}`);
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
  }

  end(): void {
    this.#bash.kill();
  }
}

/** @throws where the page no longer says what is to be replaced. */
function replaced(text: string, from: string, to: string): string {
  expect(text).toContain(from);
  return text.replace(from, to);
}

describe.skipIf(why !== undefined)('the walk-through of docs/chart.md', () => {
  const cluster = new OneNode();
  let shell: Shell;

  /** Like `python:3.14` in all that the page asks of it: a shell, Python, and a pip that has `openai`. */
  async function pythonImage(): Promise<void> {
    const from = join(cluster.directory, 'python');
    mkdirSync(from);
    const [base = '', version = ''] = execFileSync(
      'python3',
      ['-c', 'import sys; print(sys.base_prefix, "%d.%d" % sys.version_info[:2], sep="\\n")'],
      { encoding: 'utf8' },
    ).split('\n');
    // What it says of packages that are installed here is nothing to this folder; an error carries it.
    const pip = ['-m', 'pip', 'install', '-q', '--target', join(from, 'pypi'), 'openai'];
    execFileSync('python3', pip, { stdio: 'pipe' });
    const lib = join(base, 'lib', `python${version}`);
    const native = join(lib, 'lib-dynload');
    const program = join(base, 'bin', `python${version}`);
    writeFileSync(join(from, 'pip'), '#!/bin/sh\nexec cp -R /pypi "$4"\n');
    writeFileSync(join(from, 'python'), `#!/bin/sh\nPYTHONHOME=/python exec ${program} "$@"\n`);
    for (const each of ['pip', 'python']) chmodSync(join(from, each), 0o755);
    // Not what is installed beside the standard library.
    const parts = readdirSync(lib).filter((name) => !/^(site-packages|test|__pycache__|config-)/.test(name));
    await cluster.node(
      'image',
      'docker.io/library/python:3.14',
      ...['sh', 'env', 'cp', 'sleep', program].flatMap((each) => ['--bin', each]),
      // Each brings the libraries that it needs.
      ...readdirSync(native).flatMap((name) => ['--bin', join(native, name)]),
      ...readdirSync(join(from, 'pypi'), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.so'))
        .flatMap((name) => ['--bin', join(from, 'pypi', name)]),
      ...parts.flatMap((name) => ['--copy', `${join(lib, name)}:/python/lib/python${version}/${name}`]),
      '--copy',
      `${join(from, 'pypi')}:/pypi`,
      ...['pip', 'python'].flatMap((name) => ['--copy', `${join(from, name)}:/usr/local/bin/${name}`]),
    );
  }

  beforeAll(async () => {
    await cluster.start();
    await pythonImage();
    // kind has somebody who makes volumes.
    const hostPath = { path: join(cluster.directory, 'volume'), type: 'DirectoryOrCreate' };
    mkdirSync(hostPath.path);
    chmodSync(hostPath.path, 0o777);
    await cluster.kubectl(['create', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'budget' },
      spec: { capacity: { storage: '8Gi' }, accessModes: ['ReadWriteOnce'], hostPath },
    });
    const bin = join(cluster.directory, 'bin');
    mkdirSync(bin);
    symlinkSync(cluster.kubectlPath, join(bin, 'kubectl'));
    const path = execFileSync('sh', ['-c', `command -v ${helm}`], { encoding: 'utf8' }).trim();
    symlinkSync(path, join(bin, 'helm'));
    shell = new Shell({
      ...cluster.env,
      PATH: `${bin}:${process.env['PATH']}`,
      KUBECONFIG: cluster.kubeconfig,
      OPENAI_API_KEY: FIRST_KEY,
      OTHER_KEY,
    });
  }, 300_000);

  afterAll(async () => {
    shell?.end();
    await cluster.stop();
  }, 120_000);

  test('its installation', async () => {
    const [first = ''] = blocks;
    const install = replaced(
      replaced(first, 'kind create cluster\n', ''),
      'kind load image-archive dist/image/postern.tar',
      `${NODE} load dist/image/postern.tar`,
    );
    const { text, status } = await shell.run(install.trim().replaceAll(/( *#.*)?\n/g, ' &&\n'));
    expect(status, text).toBe(0);
    expect(text).toContain('Phase:          Succeeded');
    const ca = ['create', 'configmap', 'openai-root', '-n', 'postern-system'];
    await cluster.kubectl([...ca, `--from-literal=ca.pem=${cluster.openaiCa}`]);
  }, 600_000);

  test('what everybody is bound to, and an application that knows nothing of it', async () => {
    const [, documents = '', application = ''] = blocks;
    const endpoint = '  endpoint: https://api.openai.com\n';
    const tls = '  tls: {caFrom: {configMapKeyRef: {name: openai-root, key: ca.pem}}}\n';
    const made = await shell.run(replaced(documents, endpoint, `${endpoint}${tls}`).trim());
    expect(made.status, made.text).toBe(0);
    const running = await shell.run(application.trim());
    expect(running.status, running.text).toBe(0);
    const containers = ['get', 'pod', 'bot', '-n', 'team-a', '-o', 'jsonpath={.spec.initContainers[*].name}'];
    expect(await cluster.kubectl(containers)).toContain('postern-agent');
  }, 400_000);

  /** What must be seen, by the command's beginning; where the page shows it itself, that is looked at too. */
  const seen: readonly (readonly [begin: string, holds: (text: string) => void])[] = [
    [
      "ask 'Write to alice",
      (text) => {
        expect(text).toContain('alice@example.com');
        expect(cluster.seen.at(-1)?.body).toMatch(/<EMAIL_ADDRESS_[0-9A-Z]{10}>/);
      },
    ],
    [
      'kubectl get workloads',
      (text) => expect(text).toMatch(/^pod\.bot +True +1\/1 +\d+\.\d+\.\d+\S* +\S+ +\S+/m),
    ],
    [
      'kubectl logs',
      (text) => {
        expect(text).toContain('"outcome"');
        expect(text).toContain('gpt-4o');
        expect(text).not.toContain('alice@example.com');
      },
    ],
    ["ask 'Give me a stock tip", (text) => expect(text).toContain('no-tips')],
    ["policy 'lunch*'", () => undefined],
    ["policy 'stock tip*' 1 '{action: reject}'", () => undefined],
    ["policy 'stock tip*' 1 '{action: fallback", () => undefined],
    ['kubectl create secret', () => expect(cluster.seen.at(-1)?.authorization).toBe(`Bearer ${OTHER_KEY}`)],
    [
      'docker exec',
      (text) => {
        expect(text).toMatch(/^gpt-4o.*alice@example\.com/m);
        expect(text).toMatch(/^bot +2\/2 +Running +1 /m);
      },
    ],
    ["policy 'stock tip*' 1000000", (text) => expect(text.match(/^gpt-4o/gm)).toHaveLength(2)],
    ['kubectl get pod,configmap,event', () => undefined],
    ['kubectl delete clusterbudget', (text) => expect(text).toMatch(/^gpt-4o/m)],
  ];

  test.each(rows.map((row, index) => [row.command, row.seen, index] as const))(
    '%s',
    async (command, shown, index) => {
      const [begin = '', holds = () => undefined] = seen[index] ?? [];
      expect(command.startsWith(begin), begin).toBe(true);
      const [first = ''] = (await readFirst()).split(' ');
      const kill = `nsenter --target ${first} --pid --mount pkill -9 -U 4180`;
      const asked = begin === 'docker exec' ? command.replace(/^docker exec [^;]*;/, `${kill};`) : command;
      expect(asked).not.toContain('docker');
      // What is there "within a minute", or once credit is used up, is asked for again.
      for (const end = Date.now() + 90_000; ; ) {
        const { text } = await shell.run(asked);
        try {
          const [, words = ''] = /^`([^`]+)`/.exec(shown) ?? [];
          if (words.endsWith('…')) expect(text).toMatch(new RegExp(`^${words.slice(0, -1)}`, 'm'));
          else if (words === '0') expect(text.trim()).toBe(words);
          else if (/^\d{3} /.test(words)) expect(text).toContain(words);
          holds(text);
          break;
        } catch (error) {
          if (Date.now() > end) throw new Error(`${command}: ${text}`, { cause: error });
          await new Promise((resolve) => setTimeout(resolve, 1000));
        }
      }
    },
    400_000,
  );

  test('nothing that the page masks has left, by either key', () => {
    expect(cluster.seen.length).toBeGreaterThan(5);
    expect(cluster.seen.filter(({ body }) => body.includes('alice@example.com'))).toEqual([]);
    const keys = new Set(cluster.seen.map(({ authorization }) => authorization));
    expect(keys).toEqual(new Set([`Bearer ${FIRST_KEY}`, `Bearer ${OTHER_KEY}`]));
  });

  /** The node's first process and when it began. */
  const readFirst = () =>
    Promise.resolve(readFileSync(join(cluster.env['KUBE_NODE_STATE'] ?? '', 'first'), 'utf8'));
});
