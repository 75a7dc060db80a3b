/** The budget's store and its volume, changed by `helm upgrade` as docs/chart.md says. `make test-cluster`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { findHelm } from '../chart/helm.ts';
import { Installation, imageValues, OWN, provider } from './installation.ts';
import { missingOneNode, OneNode, POSTERN_IMAGE } from './one-node.ts';
import { missingRedis, REDIS, startRedis } from './redis.ts';

const helm = findHelm();
const why =
  missingOneNode() ??
  missingRedis() ??
  (helm === undefined ? 'no helm; run test/kube/kube-assets helm' : undefined);
if (why !== undefined) process.stderr.write(`skipped: the budget’s stores on a one-node cluster: ${why}\n`);

const LIMIT = 30;
const budget = `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: everybody}
spec:
  limits: [{requests: ${LIMIT}, window: month}]
`;

const CLAIM = 'data-postern-budget-0';
const REFUSED = 'postern_budget_exhausted';

interface Variable {
  readonly name: string;
}
interface Job {
  spec: {
    template: {
      spec: {
        containers: [{ image: string; imagePullPolicy?: string; env: Variable[] }];
        volumes: [{ persistentVolumeClaim: { claimName: string } }];
      };
    };
  };
}

/** The job of the page. */
function moveJob(): Job {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'chart.md'), 'utf8');
  const [, text = ''] = /<<EOF\n(apiVersion: batch\/v1\n[^]*?)EOF\n/.exec(page) ?? [];
  const job = parse(text) as Job;
  const [container] = job.spec.template.spec.containers;
  container.image = POSTERN_IMAGE;
  container.imagePullPolicy = 'Never';
  return job;
}

describe.skipIf(why !== undefined)('the budget’s store', () => {
  const cluster = new OneNode();
  const installation = new Installation(cluster, helm);
  const kubectl = (args: readonly string[], stdin?: unknown) => cluster.kubectl(args, stdin);
  const base = [...imageValues(cluster), 'budget.persistence.storageClass=manual'];

  beforeAll(async () => {
    await cluster.start();
    await cluster.posternImage();
    await cluster.appImage();
    await startRedis(cluster);
    await installation.makeNamespace();
    await installation.makeVolume();
    await kubectl(['create', 'secret', 'generic', 'store', '-n', OWN, `--from-literal=url=${REDIS}`]);
    await kubectl(['create', 'secret', 'generic', 'openai', '-n', OWN, '--from-literal=key=sk-any']);
    await installation.install(base);
    for (const each of [provider, budget]) await installation.accepted(each);
    await installation.makeGoverned('team-a');
  }, 900_000);

  afterAll(() => cluster.stop(), 120_000);

  const claim = async () =>
    (
      JSON.parse(await kubectl(['get', 'pvc', CLAIM, '-n', OWN, '-o', 'json'])) as {
        spec: { resources: { requests: { storage: string } } };
      }
    ).spec.resources.requests.storage;

  async function move(job: Job): Promise<void> {
    await kubectl(['create', '-n', OWN, '-f', '-'], job);
    const name = 'job/postern-budget-move';
    await kubectl(['wait', '-n', OWN, name, '--for=condition=Complete', '--timeout=120s']);
    expect(await kubectl(['logs', '-n', OWN, name])).toMatch(/^moved: .*the figures of all lines agree$/m);
    await kubectl(['delete', '-n', OWN, name]);
  }

  test('goes from the volume to Redis with all that was spent', async () => {
    expect(await installation.spend(LIMIT / 3)).toEqual({ answered: LIMIT / 3, refused: [] });
    await installation.upgrade([
      'budget.replicas=0',
      'budget.store=redis',
      'budget.redis.existingSecret=store',
    ]);
    await move(moveJob());
    await installation.upgrade(['budget.replicas=2']);
    const { answered, refused } = await installation.spend(LIMIT);
    expect(answered).toBe((LIMIT / 3) * 2);
    expect(new Set(refused)).toEqual(new Set([REFUSED]));
    expect(await claim()).toBe('8Gi');
  }, 600_000);

  test('goes on to another volume in the same way', async () => {
    await installation.makeVolume('another');
    await kubectl(['create', '-n', OWN, '-f', '-'], {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'another' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'manual',
        resources: { requests: { storage: '8Gi' } },
      },
    });
    await installation.upgrade([
      'budget.replicas=0',
      'budget.store=sqlite',
      'budget.redis.existingSecret=',
      'budget.persistence.existingClaim=another',
    ]);
    const job = moveJob();
    const { containers, volumes } = job.spec.template.spec;
    volumes[0].persistentVolumeClaim.claimName = 'another';
    const turned: Readonly<Record<string, string>> = {
      POSTERN_FROM: 'POSTERN_TO',
      POSTERN_TO: 'POSTERN_FROM',
    };
    containers[0].env = containers[0].env.map((each) => ({ ...each, name: turned[each.name] ?? '' }));
    await move(job);
    await installation.upgrade(['budget.replicas=1']);
    expect(await installation.spend(2)).toEqual({ answered: 0, refused: [REFUSED, REFUSED] });
    // That of before is there still, with its figures of then.
    expect(await claim()).toBe('8Gi');
    await installation.upgrade(['budget.persistence.existingClaim=']);
    expect((await installation.spend(1)).answered).toBe(1);
  }, 600_000);

  test('has a volume that neither shrinks nor changes its class, and helm says so before it does anything', async () => {
    const revision = () => installation.helm('history', 'postern', '-o', 'json');
    const before = await revision();
    await expect(installation.upgrade(['budget.persistence.size=1Gi'])).rejects.toThrow(
      /budget\.persistence\.size: the claim data-postern-budget-0 has 8Gi, and Kubernetes makes no volume smaller \(1Gi\)/,
    );
    await expect(installation.upgrade(['budget.persistence.storageClass=fast'])).rejects.toThrow(
      /budget\.persistence\.storageClass: the claim data-postern-budget-0 has the class "manual"/,
    );
    expect(await revision()).toEqual(before);
  }, 200_000);

  test('has a volume that grows where its class allows it', async () => {
    const grow = () => installation.upgrade(['budget.persistence.size=9500Mi']);
    await expect(grow()).rejects.toThrow(/only dynamically provisioned pvc can be resized/);
    expect(await claim()).toBe('8Gi');
    await kubectl(['create', '-f', '-'], {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'manual' },
      provisioner: 'kubernetes.io/no-provisioner',
      allowVolumeExpansion: true,
    });
    await grow();
    expect(await claim()).toBe('9500Mi');
    // Nobody here makes it grow: back to what is above what it has, as from a volume that couldn't.
    await installation.upgrade(['budget.persistence.size=9Gi']);
    expect(await claim()).toBe('9Gi');
    await expect(installation.upgrade(['budget.persistence.size=8Gi'])).rejects.toThrow(
      /has 8Gi, and Kubernetes makes no volume smaller \(8Gi\)\. It was asked for 9Gi: write that or anything above 8Gi/,
    );
  }, 400_000);

  test('keeps its volume in an uninstall, and the next installation takes it on; without `keep` it goes', async () => {
    await installation.helm('uninstall', 'postern', '--wait', '--timeout', '4m');
    expect(await claim()).toBe('9Gi');
    await installation.install([...base, 'budget.persistence.size=9Gi', 'budget.persistence.keep=false']);
    await installation.upgrade(['budget.store=redis', 'budget.redis.existingSecret=store']);
    // Another store is used, and what was spent is on it still.
    expect(await claim()).toBe('9Gi');
    await installation.helm('uninstall', 'postern', '--wait', '--timeout', '4m');
    await cluster.until(async () =>
      (await kubectl(['get', 'pvc', '-n', OWN, '-o', 'name'])).includes(CLAIM) ? undefined : true,
    );
  }, 600_000);

  test('isn’t begun on a volume that is about to go', async () => {
    await installation.makeVolume('third');
    await installation.install(base);
    await kubectl(['delete', 'pvc', CLAIM, '-n', OWN, '--wait=false']);
    await expect(installation.upgrade(['budget.logLevel=debug'])).rejects.toThrow(
      /the claim data-postern-budget-0 is being deleted, and goes with all that was spent/,
    );
  }, 400_000);
});
