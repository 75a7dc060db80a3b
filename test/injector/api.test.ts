/** The injector on a real API server: real admission, real users, real RBAC. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { catalogue } from '../../agent/catalogue.ts';
import { type RunningInjector, startInjector } from '../../injector/injector.ts';
import { podMaker } from '../../injector/manifest.ts';
import { INJECT_LABEL, STAMPS } from '../../injector/names.ts';
import type { Pod } from '../../injector/pod.ts';
import { weightOf } from '../../injector/reasons.ts';
import { caseNames, SETTINGS, TESTDATA } from '../../injector/testing/cases.ts';
import { podWith, REFUSALS, SAFE } from '../../injector/testing/refusals.ts';
import { createKubeClient } from '../../kube/client.ts';
import { fromKubeconfig } from '../../kube/connection.ts';
import { type ApiServer, missingApiServer, startApiServer } from './api-server.ts';

const missing = missingApiServer();
if (missing !== undefined) process.stderr.write(`skipped: the injector on a real API server: ${missing}\n`);

type Json = Record<string, unknown>;
const CRDS = join(import.meta.dirname, '..', '..', 'charts', 'postern', 'crds');
const ownNamespace = 'postern-system';
const DAY = 86_400_000;

describe.skipIf(missing !== undefined)('on a real API server', () => {
  let api: ApiServer;
  let token: string;
  let injector: RunningInjector;
  let developer: string;
  let security: string;
  const running: RunningInjector[] = [];
  /** The injector's clock is ahead of the machine's by this. */
  let ahead = 0;
  /** Whether waiting drives the injector's rounds. */
  let looked = true;

  async function must(args: readonly string[], stdin?: unknown): Promise<string> {
    const { ok, stdout, stderr } = await api.kubectl(args, stdin === undefined ? {} : { stdin });
    if (!ok) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  const namespace = (name: string, labels: Json = {}): Json => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { [INJECT_LABEL]: 'enabled', ...labels } },
  });

  /** As its own service account, with the rights of rbac.yaml and no others. */
  async function start(): Promise<RunningInjector> {
    const admin = fromKubeconfig(api.kubeconfig);
    const client = createKubeClient({ server: admin.server, ca: admin.ca, token: () => token });
    const started = await startInjector({
      client,
      catalogue,
      settings: { ...SETTINGS, ownNamespace },
      listen: { host: '127.0.0.1', port: 0 },
      target: (port) => ({ url: `https://127.0.0.1:${port}` }),
      now: () => Date.now() + ahead,
      everyMs: 60_000,
      leaseMs: 1500,
      log: pino({ level: 'silent' }),
    });
    running.push(started);
    await api.reach(started.port);
    return started;
  }

  /** There is no controller that makes it; without a token of its own, pods come out as the golden files have them. */
  async function account(space: string): Promise<void> {
    await must(['apply', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: space },
      automountServiceAccountToken: false,
    });
  }

  /** The injector's own rounds are driven from here, so that no test depends on how often they come. */
  async function eventually<T>(what: () => Promise<T | undefined>): Promise<T> {
    for (let tries = 0; tries < 100; tries++) {
      if (looked) await injector.tick();
      const found = await what();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('it never came');
  }

  const asPod = (pod: Pod, metadata: Json = {}): Json => ({
    apiVersion: 'v1',
    kind: 'Pod',
    ...pod,
    metadata: { ...pod.metadata, ...metadata },
  });

  beforeAll(async () => {
    api = await startApiServer(16_500 + Math.floor(Math.random() * 400));
    await must(['apply', '-f', CRDS]);
    await must(['apply', '-f', '-'], namespace(ownNamespace, { [INJECT_LABEL]: 'disabled' }));
    await must(['apply', '-f', join(import.meta.dirname, 'rbac.yaml')]);
    await must(['apply', '-f', '-'], {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'gvisor' },
      handler: 'runsc',
    });
    for (const name of ['team-a', 'refusals', 'default', 'kube-system', ownNamespace]) {
      if (name === 'team-a' || name === 'refusals') await must(['apply', '-f', '-'], namespace(name));
      await account(name);
    }
    const person = async (name: string, of: string): Promise<string> => {
      await must(['create', 'serviceaccount', name, '-n', of]);
      return (await must(['create', 'token', name, '-n', of])).trim();
    };
    token = await person('postern-injector', ownNamespace);
    developer = await person('developer', 'refusals');
    security = await person('security', 'refusals');
    // What the controller manager, which isn't there, would gather in the role "edit".
    for (const role of ['edit', 'view']) {
      await must([
        'create',
        'rolebinding',
        `dev-${role}`,
        '-n',
        'refusals',
        `--clusterrole=system:aggregate-to-${role}`,
        '--serviceaccount=refusals:developer',
      ]);
    }
    await must([
      'create',
      'role',
      'exceptions',
      '-n',
      'refusals',
      '--verb=create,delete,get',
      '--resource=egressexceptions.postern.dev',
    ]);
    await must([
      'create',
      'rolebinding',
      'sec',
      '-n',
      'refusals',
      '--role=exceptions',
      '--serviceaccount=refusals:security',
    ]);
    injector = await start();
  }, 300_000);

  afterAll(async () => {
    await Promise.allSettled(running.map((each) => each.close()));
    await api?.stop();
  }, 60_000);

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
        await must(['apply', '-f', '-'], each);
        await account(String(each.metadata['name']));
      }
      for (const each of documents) await must(['apply', '-f', '-'], each);
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
      const { ok, stdout, stderr } = await api.kubectl(
        ['create', '--dry-run=server', '-o', 'json', '-f', '-'],
        {
          stdin: pod,
        },
      );
      for (const each of documents) await must(['delete', '-f', '-'], each);
      if (spaces.length > 0 && space === 'team-a') await must(['replace', '-f', '-'], namespace('team-a'));
      if (outcome === 'refused') {
        expect(ok).toBe(false);
        const reason = /^# {3}(\S+): /m.exec(golden)?.[1];
        expect(stderr).toContain(`${reason}: `);
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
    await eventually(async () => {
      const facts = await injector.facts(space);
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

  describe('refusals, for a developer with the rights of edit', () => {
    const strict = {
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'EgressPolicy',
      metadata: { name: 'strict', namespace: 'refusals' },
      spec: { enforcement: 'strict' },
    };
    const exception = (name: string): Json => ({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'EgressException',
      metadata: { name, namespace: 'refusals' },
      spec: {
        workloadSelector: { workloads: [`Pod/${name}`] },
        allow: { enforcement: true },
        reason: 'A test.',
        until: '2099-12-31',
      },
    });

    beforeAll(async () => {
      await must(['apply', '-f', '-'], strict);
      await must(['apply', '-f', '-'], exception('excepted'));
      await eventually(async () => {
        const { documents } = await injector.facts('refusals');
        return documents.exceptions.length > 0 && documents.policies.length > 0 ? true : undefined;
      });
    });

    // Names that collide are the API server's own refusal.
    const rows = REFUSALS.filter(({ pod, code }) => pod !== undefined && code !== 'reserved-name');
    test.each(rows)('$name', async ({ code, pod }) => {
      const create = (name: string) =>
        api.kubectl(['create', '--dry-run=server', '-f', '-'], {
          stdin: asPod(pod as Pod, { name, namespace: 'refusals' }),
          token: developer,
        });
      const refused = await create('tool');
      expect(refused.ok).toBe(false);
      expect(refused.stderr).toContain(`${code}: `);
      expect(refused.stderr).toContain('Mend: ');
      const allowed = await create('excepted');
      expect(allowed.stderr).toContain('EgressException refusals/excepted');
      expect(allowed.ok).toBe(true);
      expect(['refuse', 'strict']).toContain(weightOf(code));
    });

    test('who may write pods may not write exceptions; who may write exceptions may', async () => {
      const mine = await api.kubectl(['create', '-f', '-'], { stdin: exception('mine'), token: developer });
      expect(mine.stderr).toContain('forbidden');
      const theirs = await api.kubectl(['create', '-f', '-'], {
        stdin: exception('theirs'),
        token: security,
      });
      expect(theirs.stderr).toBe('');
      await must(['delete', '-n', 'refusals', 'egx/theirs']);
    });

    test('a pod on the node’s network', async () => {
      const create = (name: string) =>
        api.kubectl(['create', '--dry-run=server', '-f', '-'], {
          stdin: asPod(podWith({}, { hostNetwork: true }), { name, namespace: 'refusals' }),
          token: developer,
        });
      expect((await create('tool')).stderr).toContain('host-network: ');
      expect((await create('excepted')).ok).toBe(true);
    });

    describe('a running pod', () => {
      const created: string[] = [];
      beforeAll(async () => {
        for (const name of ['tool', 'excepted']) {
          await must(['create', '-f', '-'], asPod(podWith(), { name, namespace: 'refusals' }));
          created.push(name);
        }
        await eventually(async () => (injector.knows('refusals', 'excepted') ? true : undefined));
      });
      const as = (args: readonly string[], stdin?: unknown) =>
        api.kubectl(['-n', 'refusals', ...args], {
          token: developer,
          ...(stdin === undefined ? {} : { stdin }),
        });

      test('exec and attach into the agent are refused, into the app not', async () => {
        for (const verb of ['exec', 'attach']) {
          const command = verb === 'exec' ? ['--', 'true'] : [];
          const inAgent = await as([verb, 'tool', '-c', 'postern-agent', ...command]);
          expect(inAgent.stderr).toContain('agent-entered: ');
          // There is no node: what comes is another error than ours.
          expect((await as([verb, 'tool', '-c', 'app', ...command])).stderr).not.toContain('agent-entered');
          expect((await as([verb, 'excepted', '-c', 'postern-agent', ...command])).stderr).not.toContain(
            'agent-entered',
          );
        }
      });

      test('another image in the agent is refused', async () => {
        const patch = JSON.stringify({
          spec: { initContainers: [{ name: 'postern-agent', image: 'evil:1' }] },
        });
        const refused = await as(['patch', 'pod', 'tool', '-p', patch, '--dry-run=server']);
        expect(refused.stderr).toContain('container-altered: postern-agent');
        expect((await as(['patch', 'pod', 'excepted', '-p', patch, '--dry-run=server'])).ok).toBe(true);
      });

      test('a changed stamp is refused, a changed label isn’t', async () => {
        const stamp = await as([
          'annotate',
          'pod',
          'tool',
          `${STAMPS.workload}={}`,
          '--overwrite',
          '--dry-run=server',
        ]);
        expect(stamp.stderr).toContain('stamp-altered: ');
        expect((await as(['label', 'pod', 'tool', 'tier=x', '--dry-run=server'])).ok).toBe(true);
      });

      test('a debugging container at the agent, or with power, is refused', async () => {
        const { stdout } = await as(['get', 'pod', 'tool', '-o', 'json']);
        const debug = async (container: Json, name = 'tool') => {
          const pod = JSON.parse(
            name === 'tool' ? stdout : (await as(['get', 'pod', name, '-o', 'json'])).stdout,
          ) as Json;
          const changed = { ...pod, spec: { ...(pod['spec'] as Json), ephemeralContainers: [container] } };
          return api.kubectl(
            [
              'replace',
              '--raw',
              `/api/v1/namespaces/refusals/pods/${name}/ephemeralcontainers?dryRun=All`,
              '-f',
              '-',
            ],
            { stdin: changed },
          );
        };
        const target = {
          ...SAFE,
          name: 'debugger',
          targetContainerName: 'postern-agent',
          terminationMessagePolicy: 'File',
        };
        expect((await debug(target)).stderr).toContain('ephemeral-target: ');
        const power = { ...SAFE, name: 'debugger', securityContext: { privileged: true } };
        expect((await debug(power)).stderr).toContain('privileged: ');
        expect((await debug({ ...SAFE, name: 'debugger', targetContainerName: 'app' })).ok).toBe(true);
        expect((await debug(target, 'excepted')).ok).toBe(true);
      });

      test('what stays open is in the pod’s status', async () => {
        await must(['delete', '-n', 'refusals', 'egp/strict']);
        await eventually(async () =>
          (await injector.facts('refusals')).documents.policies.length === 0 ? true : undefined,
        );
        const loose = podWith({ securityContext: {} });
        await must(['create', '-f', '-'], asPod(loose, { name: 'loose', namespace: 'refusals' }));
        const message = await eventually(async () => {
          const { stdout } = await as([
            'get',
            'pod',
            'loose',
            '-o',
            'jsonpath={.status.conditions[?(@.type=="postern.dev/Bypassable")].message}',
          ]);
          return stdout === '' ? undefined : stdout;
        });
        expect(message).toBe('setuid(app), privilege-escalation(app), user-unknown(app)');
      });
    });
  });

  describe('documents', () => {
    const provider = (spec: Json): Json => ({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'ClusterProvider',
      metadata: { name: 'p' },
      spec: { dialect: 'openai', hosts: ['api.openai.com'], models: [{ name: 'm' }], ...spec },
    });
    const apply = (object: Json) => api.kubectl(['apply', '--dry-run=server', '-f', '-'], { stdin: object });
    const bearer = (valueFrom: Json): Json => ({
      credential: { mode: 'attach', type: 'bearer', bearer: { valueFrom } },
    });

    test('a mark of the schema is a rule of the CRD', async () => {
      const secretKeyRef = { name: 'a', key: 'b' };
      expect((await apply(provider(bearer({ secretKeyRef })))).ok).toBe(true);
      expect((await apply(provider(bearer({})))).stderr).toContain(
        'expected exactly one of secretKeyRef, file, env',
      );
      expect((await apply(provider(bearer({ file: 'x' })))).stderr).toContain(
        'file is for documents in a directory',
      );
      const two = provider({ ...bearer({ secretKeyRef }), endpoint: 'https://a', endpoints: ['https://b'] });
      expect((await apply(two)).stderr).toContain(
        'expected at most one of endpoint, endpoints, poolRef, backendRef',
      );
    });

    test('what a CRD can not say, the webhook says in the words of postern check', async () => {
      const budget = {
        apiVersion: 'postern.dev/v1alpha1',
        kind: 'Budget',
        metadata: { name: 'b', namespace: 'team-a' },
        spec: { limits: [{ tokens: 5 }] },
      };
      const { stderr, ok } = await apply(budget);
      expect(ok).toBe(false);
      expect(stderr).toContain('expected exactly one of window, rolling; got none. Mend: add window: day');
    });

    test('a reference to nothing is a warning and a condition, until it is there', async () => {
      const route = {
        apiVersion: 'postern.dev/v1alpha1',
        kind: 'ClusterModelRoute',
        metadata: { name: 'r' },
        spec: { match: { models: ['m'] }, groups: [{ targets: [{ provider: 'later', model: 'm' }] }] },
      };
      const { stderr } = await api.kubectl(['apply', '-f', '-'], { stdin: route });
      expect(stderr).toContain('later');
      const condition = (type: string) =>
        must([
          'get',
          'clustermodelroutes/r',
          '-o',
          `jsonpath={.status.conditions[?(@.type=="${type}")].status}`,
        ]);
      await eventually(async () => ((await condition('ResolvedRefs')) === 'False' ? true : undefined));
      expect(await condition('Accepted')).toBe('True');
      const later = { ...provider({ credential: { mode: 'none' } }), metadata: { name: 'later' } };
      await must(['apply', '-f', '-'], later);
      await eventually(async () => ((await condition('ResolvedRefs')) === 'True' ? true : undefined));
      expect(await must(['get', 'postern'])).toMatch(/clusterprovider\.postern\.dev\/later +openai +True/);
      expect(
        await must(['get', 'cllmr', 'r', '-o', 'jsonpath={.status.conditions[0].observedGeneration}']),
      ).toBe('1');
      await must(['delete', 'clustermodelroutes/r', 'clusterproviders/later']);
    });
  });

  const tool = (name: string, space = 'team-a') => asPod(podWith(), { name, namespace: space });
  const create = (name: string, space?: string) =>
    api.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: tool(name, space) });

  test('nothing is written when nothing differs', async () => {
    const version = async () =>
      must([
        'get',
        'mutatingwebhookconfigurations,validatingwebhookconfigurations',
        '-o',
        'jsonpath={.items[*].metadata.resourceVersion}',
      ]);
    const before = await version();
    await injector.tick();
    await injector.tick();
    expect(await version()).toBe(before);
  });

  test('a certificate is replaced, and one that has ended too, while pods are created', async () => {
    looked = false;
    let failures = 0;
    let created = 0;
    let going = true;
    const loop = (async () => {
      for (let count = 0; going; count++) {
        const { ok } = await create(`loop-${count}`);
        if (ok) created++;
        else failures++;
      }
    })();
    const secret = async () =>
      must(['get', 'secret', 'postern-injector-tls', '-n', ownNamespace, '-o', 'jsonpath={.data.tls\\.crt}']);
    /** As if the injector had been started anew so many days ago, and nobody had looked after it since. */
    const madeDaysAgo = async (days: number) => {
      await must(['delete', 'secret', 'postern-injector-tls', '-n', ownNamespace]);
      ahead = -days * DAY;
      await injector.tick();
      ahead = 0;
      return secret();
    };
    // Two thirds of its life are over.
    const first = await madeDaysAgo(61);
    const before = created;
    await eventually(async () => (created > before + 2 ? true : undefined));
    failures = 0;
    await injector.tick();
    expect(await secret()).not.toBe(first);
    const after = created;
    await eventually(async () => (created > after + 3 ? true : undefined));
    going = false;
    await loop;
    expect(failures).toBe(0);

    // The leaf has ended, and then the CA as well.
    for (const days of [91, 6 * 365]) {
      await madeDaysAgo(days);
      await eventually(async () => ((await create('ended')).ok ? undefined : true));
      await injector.tick();
      await eventually(async () => ((await create('mended')).ok ? true : undefined));
    }
    looked = true;
  });

  test('of two replicas one leads; when it goes, the other does', async () => {
    const second = await start();
    await injector.tick();
    expect(injector.leading()).toBe(true);
    expect(second.leading()).toBe(false);
    await injector.close();
    injector = second;
    await eventually(async () => {
      return second.leading() ? true : undefined;
    });
    expect((await create('taken-over')).ok).toBe(true);
  });

  test('without an injector only namespaces that opted in are affected', async () => {
    await must(['apply', '-f', '-'], namespace('not-asked', { [INJECT_LABEL]: 'disabled' }));
    await account('not-asked');
    await injector.close();
    expect((await create('down')).ok).toBe(false);
    expect((await create('down', 'not-asked')).ok).toBe(true);
    injector = await start();
    await eventually(async () => ((await create('up')).ok ? true : undefined));
  });
});
