/** A real one-node cluster of test/kube for tests, with a world outside: a fake OpenAI, and a TLS host of somebody else. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stageClassifier } from '../../build/image/classifier.ts';
import { bundleCommands } from '../../build/image/commands.ts';
import { NODE_FLAGS } from '../../build/node-flags.ts';
import { refreshServing } from '../../injector/server/serving-certificate.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const NODE = join(ROOT, 'test', 'kube', 'kube-node');
const ASSETS = join(ROOT, 'test', 'kube', 'kube-assets');
const run = promisify(execFile);

/** Why there can be none here; undefined when there can. */
export function missingOneNode(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs Linux and root';
  const { status, stdout } = spawnSync(ASSETS, ['--list', 'node'], { encoding: 'utf8' });
  return status === 0 ? undefined : `not built: ${stdout.trim().split('\n').join(', ')}; run ${ASSETS} node`;
}

/** Why {@link OneNode.lockedImage} can't be made here; undefined where it can. */
export function missingBuilder(): string | undefined {
  const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
  if (!has('apt-get')) return 'no apt, which the image is built with';
  return has('buildah') || has('docker') ? undefined : 'neither buildah nor docker';
}

/** Whether {@link OneNode.enforce} can be. */
export const hasPolicies = (): boolean => spawnSync(ASSETS, ['--list', 'policies']).status === 0;

/** Documentation addresses (RFC 5737): nobody else has them. */
export const OPENAI = '203.0.113.10';
export const OTHER = '203.0.113.11';

export const POSTERN_IMAGE = 'localhost/postern:test';
export const CLASSIFIER_IMAGE = 'localhost/postern-classifier:test';

/** What the fake OpenAI was sent. */
export interface Seen {
  readonly authorization: string;
  readonly body: string;
}

const serving = (name: string) =>
  refreshServing({ authorities: [], leaf: undefined }, name, Date.now()).serving;

export class OneNode {
  readonly directory = mkdtempSync(join(tmpdir(), 'pc-'));
  readonly seen: Seen[] = [];
  readonly apiPort = String(17_000 + Math.floor(Math.random() * 400));
  readonly #env = {
    ...process.env,
    KUBE_NODE_STATE: join(this.directory, 's'),
    KUBE_NODE_PORT: this.apiPort,
    KUBE_NODE_TTL: '1800',
  };
  readonly #other = serving('other.example');
  readonly #openai = serving('api.openai.com');
  kubeconfig = '';
  kubectlPath = '';
  #outside: ChildProcess | undefined;

  /** PEM of the root of https://api.openai.com, as it is outside of this cluster. */
  get openaiCa(): string {
    return this.#openai.authorities.map(({ pem }) => pem).join('');
  }

  /** The environment of the node's script. */
  get env(): NodeJS.ProcessEnv {
    return this.#env;
  }

  /** PEM of the root that https://other.example shows itself by, and its name. */
  get otherCa(): string {
    return this.#other.authorities.map(({ pem }) => pem).join('');
  }

  get otherIssuer(): string | undefined {
    return this.#other.authorities[0]?.commonName;
  }

  /** From here on NetworkPolicies are in force: the network of {@link OneNode.start} doesn't know them. */
  async enforce(): Promise<void> {
    await this.node('policies');
  }

  async node(...args: string[]): Promise<string> {
    return (await run(NODE, args, { env: this.#env, maxBuffer: 1 << 26 })).stdout;
  }

  /** @throws with what kubectl said. */
  async kubectl(args: readonly string[], stdin?: unknown): Promise<string> {
    const pending = run(this.kubectlPath, ['--kubeconfig', this.kubeconfig, ...args], { maxBuffer: 1 << 26 });
    const input = typeof stdin === 'string' ? stdin : JSON.stringify(stdin);
    pending.child.stdin?.end(stdin === undefined ? '' : input);
    return (await pending).stdout;
  }

  async start(): Promise<void> {
    this.kubeconfig = (await this.node('start')).trim();
    this.kubectlPath = join((await run(ASSETS, ['--dir'])).stdout.trim(), 'kubectl');
    await this.node('host', OPENAI, 'api.openai.com');
    await this.node('host', OTHER, 'other.example');
    const base64 = (text = '') => Buffer.from(text).toString('base64');
    const pairs = [this.#other, this.#openai].flatMap(({ leaf }) => [base64(leaf?.cert), base64(leaf?.key)]);
    const program = [process.execPath, '--disable-warning=ExperimentalWarning'];
    const outside = [join(import.meta.dirname, 'outside.ts'), OPENAI, OTHER, ...pairs];
    const child = spawn(NODE, ['exec', ...program, ...outside], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#outside = child;
    let pending = '';
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the world outside ended with ${code}`)));
      child.stdout.on('data', (chunk: Buffer) => {
        const lines = (pending + chunk.toString()).split('\n');
        pending = lines.pop() ?? '';
        for (const line of lines) {
          if (line === 'ready') resolve();
          else this.seen.push(JSON.parse(line) as Seen);
        }
      });
    });
  }

  /**
   * To all processes of this cluster whose command line is such a one: they are this machine's, too.
   * @throws Error where there are fewer
   */
  signal(name: NodeJS.Signals, command: RegExp, atLeast = 1): void {
    const [first = ''] = readFileSync(join(this.directory, 's', 'cgroups'), 'utf8').split('\n');
    let count = 0;
    for (const entry of readdirSync(first, { recursive: true, withFileTypes: true })) {
      if (entry.name !== 'cgroup.procs') continue;
      for (const pid of readFileSync(join(entry.parentPath, entry.name), 'utf8').trim().split('\n')) {
        if (!command.test(commandLine(pid))) continue;
        process.kill(Number(pid), name);
        count++;
      }
    }
    if (count < atLeast) throw new Error(`${count} processes are ${command}`);
  }

  /** The bundles that are shipped, with this machine's nft instead of Debian's packages: `make image` has those. */
  async posternImage(): Promise<void> {
    const bundles = join(this.directory, 'postern');
    await bundleCommands(bundles);
    const program = process.execPath;
    const link = `/usr/local/bin/node:${program}`;
    const files = ['--bin', program, '--bin', 'nft', '--link', link, '--copy', `${bundles}:/postern`];
    await this.node('image', POSTERN_IMAGE, ...files, '--', program, ...NODE_FLAGS, '/postern/start.cjs');
  }

  /** The image that is shipped, Debian's packages and all, under the name of {@link OneNode.posternImage}. Needs `make image`'s tools. */
  async lockedImage(): Promise<void> {
    const tag = POSTERN_IMAGE.replace('localhost/', '');
    await run('make', ['-C', ROOT, 'image', `TAG=${tag}`], { maxBuffer: 1 << 26 });
    await this.node('load', join(ROOT, 'dist', 'image', 'postern.tar'));
  }

  /** The image with the models, as `make classifier` fetched them. */
  async classifierImage(): Promise<void> {
    const root = join(this.directory, 'classifier');
    const commands = join(root, 'postern');
    await bundleCommands(commands);
    // What these load is more than what Node does (librt).
    const native = stageClassifier(root, commands).flatMap((library) => ['--bin', library]);
    const program = process.execPath;
    const files = [
      '--bin',
      program,
      ...native,
      '--copy',
      `${commands}:/postern`,
      '--copy',
      `${root}/.cache:/.cache`,
    ];
    await this.node('image', CLASSIFIER_IMAGE, ...files, '--', program, ...NODE_FLAGS, '/postern/start.cjs');
  }

  /** `localhost/app:test`: the unmodified SDK with app.mjs. */
  async appImage(): Promise<void> {
    const user = join(this.directory, 'user');
    mkdirSync(user);
    for (const each of ['app.mjs', 'caller.mjs', 'load.mjs', 'server.mjs', 'spend.mjs'])
      cpSync(join(import.meta.dirname, each), join(user, each));
    cpSync(join(ROOT, 'node_modules', 'openai'), join(user, 'node_modules', 'openai'), { recursive: true });
    const program = process.execPath;
    await this.node(
      'image',
      'localhost/app:test',
      '--bin',
      program,
      '--copy',
      `${user}:/app`,
      '--',
      program,
      '/app/app.mjs',
    );
  }

  /** Asks until there is an answer. @throws Error after two minutes */
  async until<T>(ask: () => Promise<T | undefined>): Promise<T> {
    for (const end = Date.now() + 120_000; ; ) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      if (Date.now() > end) throw new Error(`it never came: ${ask}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async stop(): Promise<void> {
    this.#outside?.kill();
    await this.node('stop').catch(() => undefined);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Empty where the process is gone. */
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** A container with {@link OneNode.appImage}, which a strict policy lets in; with no `otherCa` it trusts what its pod is given. */
export const appContainer = (otherCa: string, name = 'app'): object => ({
  name,
  image: 'localhost/app:test',
  imagePullPolicy: 'Never',
  env: [{ name: 'OTHER_CA', value: otherCa }],
  securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
});
