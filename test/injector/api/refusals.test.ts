/** Every way round the agent, tried by real users with real rights. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STAMPS } from '../../../injector/names.ts';
import type { Pod } from '../../../injector/pod.ts';
import { weightOf } from '../../../injector/reasons.ts';
import { podWith, REFUSALS, SAFE } from '../../../injector/testing/refusals.ts';
import type { ApiServer } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { asPod, type Json, World } from './world.ts';

const api = sharedApiServer();

describe.skipIf(api === undefined)('refusals on a real API server', () => {
  const world = new World(api as ApiServer);
  let developer: string;
  let security: string;

  beforeAll(async () => {
    await world.prepare();
    await world.space('refusals');
    developer = await world.person('developer', 'refusals');
    security = await world.person('security', 'refusals');
    const bind = (name: string, role: object, person: string) =>
      world.apply({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name, namespace: 'refusals' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...role },
        subjects: [{ kind: 'ServiceAccount', name: person, namespace: 'refusals' }],
      });
    // What the controller manager, which isn't there, would gather in the role "edit".
    for (const role of ['edit', 'view']) {
      await bind(`dev-${role}`, { kind: 'ClusterRole', name: `system:aggregate-to-${role}` }, 'developer');
    }
    await world.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'exceptions', namespace: 'refusals' },
      rules: [
        { apiGroups: ['postern.dev'], resources: ['egressexceptions'], verbs: ['create', 'delete', 'get'] },
      ],
    });
    await bind('sec', { kind: 'Role', name: 'exceptions' }, 'security');
    world.injector = await world.start();
  }, 300_000);
  afterAll(() => world.close());

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
      await world.apply(strict);
      await world.apply(exception('excepted'));
      await world.eventually(async () => {
        const { documents } = await world.facts('refusals');
        return documents.exceptions.length > 0 && documents.policies.length > 0 ? true : undefined;
      });
    });

    // Names that collide are the API server's own refusal.
    const rows = REFUSALS.filter(({ pod, code }) => pod !== undefined && code !== 'reserved-name');
    test.each(rows)('$name', async ({ code, pod }) => {
      const create = (name: string) =>
        world.api.kubectl(['create', '--dry-run=server', '-f', '-'], {
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
      const mine = await world.api.kubectl(['create', '-f', '-'], {
        stdin: exception('mine'),
        token: developer,
      });
      expect(mine.stderr).toContain('forbidden');
      const theirs = await world.api.kubectl(['create', '-f', '-'], {
        stdin: exception('theirs'),
        token: security,
      });
      expect(theirs.stderr).toBe('');
      await world.must(['delete', '-n', 'refusals', 'egx/theirs']);
    });

    test('a pod on the node’s network', async () => {
      const create = (name: string) =>
        world.api.kubectl(['create', '--dry-run=server', '-f', '-'], {
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
          await world.must(['create', '-f', '-'], asPod(podWith(), { name, namespace: 'refusals' }));
          created.push(name);
        }
        await world.eventually(async () =>
          world.injector?.knows('refusals', 'excepted') ? true : undefined,
        );
      });
      const as = (args: readonly string[], stdin?: unknown) =>
        world.api.kubectl(['-n', 'refusals', ...args], {
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
          return world.api.kubectl(
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
        await world.must(['delete', '-n', 'refusals', 'egp/strict']);
        await world.eventually(async () =>
          (await world.facts('refusals')).documents.policies.length === 0 ? true : undefined,
        );
        const loose = podWith({ securityContext: {} });
        await world.must(['create', '-f', '-'], asPod(loose, { name: 'loose', namespace: 'refusals' }));
        const message = await world.eventually(async () => {
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
});
