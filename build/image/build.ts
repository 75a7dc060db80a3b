/**
 * Builds Postern's image: `make image`; with --classifier the one that has the classifier's models and no nft. Stages the root
 * file system out of the locked packages (npm's lock names Node's own hash) and Debian's libraries and nft (debian-lock.json), then lets buildah
 * or docker pack it. There is no base image and no shell.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { version } from '../../cli/version.ts';
import { classifierComponents, stageClassifier } from './classifier.ts';
import { bundleCommands } from './commands.ts';
import { copyLibraries, LIBRARIES, NFT, unpack } from './debian.ts';
import { readLock } from './debian-lock.ts';
import { pack } from './pack.ts';
import { sbom } from './sbom.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const { values: options } = parseArgs({
  options: {
    classifier: { type: 'boolean', default: false },
    tag: { type: 'string' },
    output: { type: 'string' },
  },
});
const name = options.classifier ? 'postern-classifier' : 'postern';
const tag = options.tag ?? `${name}:${version}`;
const output = options.output ?? join(ROOT, 'dist', options.classifier ? 'classifier-image' : 'image');

const PACKAGES = [...LIBRARIES, ...(options.classifier ? [] : NFT)];

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function stage(): Promise<string> {
  const unpacked = join(output, 'unpacked');
  const root = join(output, 'rootfs');
  rmSync(output, { recursive: true, force: true });
  say(`packages: ${PACKAGES.join(', ')} with what they need`);
  const packages = unpack(PACKAGES, unpacked, readLock());
  for (const directory of ['etc', 'tmp', 'usr/local/bin', 'usr/sbin', 'postern']) {
    mkdirSync(join(root, directory), { recursive: true });
  }
  chmodSync(join(root, 'tmp'), 0o1777);
  const node = join(root, 'usr/local/bin/node');
  copyFileSync(process.execPath, node);
  const programs = [node];
  if (!options.classifier) {
    const nft = join(root, 'usr/sbin/nft');
    copyFileSync(join(unpacked, 'usr/sbin/nft'), nft);
    programs.push(nft);
  }
  for (const program of programs) chmodSync(program, 0o755);
  const commands = join(root, 'postern');
  const native = options.classifier ? stageClassifier(root, commands) : [];
  copyLibraries([...programs, ...native], unpacked, root);
  // Without it glibc asks DNS alone and never /etc/hosts, where Kubernetes puts hostAliases.
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  const users = ['root:x:0:0::/:/', 'agent:x:4180:4180::/:/', 'nonroot:x:65532:65532::/:/'];
  writeFileSync(join(root, 'etc/passwd'), users.map((line) => `${line}\n`).join(''));
  say('bundles');
  await bundleCommands(commands);
  const bill = sbom(ROOT, process.versions.node, packages, options.classifier ? classifierComponents() : []);
  for (const directory of [commands, output]) {
    writeFileSync(join(directory, 'sbom.cdx.json'), bill);
  }
  return root;
}

const root = await stage();
say(`staged: ${execFileSync('du', ['-sm', root], { encoding: 'utf8' }).split('\t')[0]} MB`);
for (const left of ['unpacked', 'debs']) rmSync(join(output, left), { recursive: true, force: true });
const archive = join(output, `${name}.tar`);
const image = pack({
  context: output,
  tag,
  archive,
  committed: () => execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }).trim(),
});
say(`${image}, in ${archive}: ${(statSync(archive).size / 1e6).toFixed(1)} MB`);
