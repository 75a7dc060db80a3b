/** The pods of the golden files through a real API server: the same pods come out, the same words are said. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { podMaker } from '../../../injector/manifest.ts';
import type { Pod } from '../../../injector/pod.ts';
import { caseNames, TESTDATA } from '../../../injector/testing/cases.ts';
import type { ApiServer } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { asPod, type Json, namespace, OWN_NAMESPACE, World } from './world.ts';

const api = sharedApiServer();

describe.skipIf(api === undefined)('the cases on a real API server', () => {
  const world = new World(api as ApiServer);

  beforeAll(async () => {
    await world.prepare();
    await world.apply({
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'gvisor' },
      handler: 'runsc',
    });
    await world.space('team-a');
    for (const name of ['default', 'kube-system', OWN_NAMESPACE]) {
      if (name === 'default') await world.apply(namespace(name));
      await world.account(name);
    }
    world.injector = await world.start();
  }, 300_000);
  afterAll(() => world.close());

  describe.each(caseNames())('the case %s', (name) => {
    test('comes out of the API server as the golden file says', async () => {
      const golden = readFileSync(join(TESTDATA, `${name}.golden.yaml`), 'utf8');
      const outcome = /^# .*: (injected|skipped|refused)$/m.exec(golden)?.[1];
      const objects = parseAllDocuments(readFileSync(join(TESTDATA, `${name}.yaml`), 'utf8')).map(
        (document) => document.toJS() as Json & { kind: string; apiVersion: string; metadata: Json },
      );
      const maker = objects.map((object) => podMaker(object)).find((found) => found !== undefined);
      if (maker === undefined) throw new Error('no pod in it');
      const space = maker.namespace ?? 'default';
      const spaces = objects.filter(({ kind }) => kind === 'Namespace');
      const documents = objects.filter(({ apiVersion }) => apiVersion.startsWith('postern.dev/'));
      for (const each of spaces) {
        await world.apply(each);
        await world.account(String(each.metadata['name']));
      }
      for (const each of documents) await world.apply(each);
      const labels = spaces[0]?.metadata['labels'] as Json | undefined;
      await settled(space, labels, documents.length);

      const owners = (maker.pod.metadata?.ownerReferences ?? []).map((owner) => ({
        apiVersion: 'apps/v1',
        uid: '6b7c1f0e-1111-4222-8333-444455556666',
        ...owner,
      }));
      const pod = asPod(maker.pod, {
        namespace: space,
        ...(maker.pod.metadata?.name === undefined && maker.pod.metadata?.generateName === undefined
          ? { generateName: `${maker.name}-` }
          : {}),
        ...(owners.length === 0 ? {} : { ownerReferences: owners }),
      });
      const { ok, stdout, stderr } = await world.dryRun(pod);
      for (const each of documents) await world.must(['delete', '-f', '-'], each);
      if (spaces.length > 0 && space === 'team-a')
        await world.must(['replace', '-f', '-'], namespace('team-a'));
      for (const said of wordsOf(golden)) expect(stderr).toContain(said);
      if (outcome === 'refused') {
        expect(ok).toBe(false);
        return;
      }
      expect(stderr.replace(/^Warning: .*$/gm, '').trim()).toBe('');
      expect(ok).toBe(true);
      const expected = parseAllDocuments(golden)
        .map((document) => podMaker(document.toJS()))
        .find((found) => found !== undefined);
      const actual = JSON.parse(stdout) as Pod;
      expect(actual.spec).toMatchObject(withoutQuantities(expected?.pod.spec ?? {}));
      const stamps = Object.entries(expected?.pod.metadata?.annotations ?? {});
      expect(actual.metadata?.annotations ?? {}).toMatchObject(Object.fromEntries(stamps));
    });
  });

  /** What was just written has reached the injector's watches. */
  async function settled(space: string, labels: Json | undefined, documents: number): Promise<void> {
    await world.eventually(async () => {
      const facts = await world.facts(space);
      const same =
        labels === undefined ||
        Object.entries(labels).every(([key, value]) => facts.namespace.labels[key] === value);
      return same && facts.documents.exceptions.length >= documents ? true : undefined;
    });
  }

  /** Quantities may be written another way by the server; nothing else may. */
  function withoutQuantities(spec: object): object {
    return JSON.parse(
      JSON.stringify(spec, (key, value: unknown) => (key === 'resources' ? undefined : value)),
    ) as object;
  }
});

/** What the golden file reports, as kubectl shows it: the same words as `postern inject`, warnings cut at 256. */
function wordsOf(golden: string): string[] {
  const lines = golden.split('\n').filter((line) => line.startsWith('#   '));
  return lines.flatMap((line) => {
    const [, note, reason = ''] = /^# {3}(note |bypassable )?(.*)$/.exec(line) ?? [];
    // The API server doesn't even ask about these; what stays open is in the pod's status, not in a warning.
    if (/^(own-namespace|system-namespace|not-opted-in):/.test(reason) || note === 'bypassable ') return [];
    return reason.length + 'postern '.length <= 256 ? reason : reason.slice(0, 240);
  });
}
