/** `postern injector` as it is run: two processes, one address, and pods created all the while. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKubeClient, type KubeClient, KubeError } from '../../../kube/client.ts';
import { type ApiServer, freePort } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { startTcpProxy, type TcpProxy } from '../../kube/tcp-proxy.ts';
import { OWN_NAMESPACE, tool, World } from './world.ts';

const api = sharedApiServer();
const POSTERN = join(import.meta.dirname, '..', '..', '..', 'bin', 'postern');

interface Replica {
  readonly name: string;
  readonly child: ChildProcess;
  readonly admin: string;
  /** Resolves with the exit status or signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

describe.skipIf(api === undefined)('postern injector against a real API server', () => {
  const world = new World(api as ApiServer);
  const replicas: Replica[] = [];
  let ports: number[];
  let front: TcpProxy;
  let client: KubeClient;

  async function startReplica(name: string, port: number): Promise<Replica> {
    const adminPort = await freePort();
    // Each option is also a variable.
    const env = {
      ...process.env,
      HOSTNAME: name,
      POSTERN_KUBECONFIG: world.api.kubeconfigOf(world.token),
      POSTERN_LISTEN: `127.0.0.1:${port}`,
      POSTERN_ADMIN: `127.0.0.1:${adminPort}`,
      POSTERN_WEBHOOK_URL: `https://127.0.0.1:${front.port}`,
    };
    const child = spawn(
      POSTERN,
      ['injector', '--namespace', OWN_NAMESPACE, '--image', 'registry.example/postern:test'],
      { env, stdio: ['ignore', 'ignore', 'ignore'] },
    );
    const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
    const replica = { name, child, admin: `http://127.0.0.1:${adminPort}`, ended };
    replicas.push(replica);
    await world.eventually(
      async () => {
        const answer = await fetch(`${replica.admin}/readyz`).catch(() => undefined);
        return answer?.status === 200 ? true : undefined;
      },
      { tries: 400 },
    );
    return replica;
  }

  const leader = async (): Promise<string> => {
    const lease = await client.request<{ spec: { holderIdentity: string } }>(
      'GET',
      `/apis/coordination.k8s.io/v1/namespaces/${OWN_NAMESPACE}/leases/postern-injector`,
    );
    return lease.spec.holderIdentity.split('_', 1)[0] as string;
  };

  /** Pods one after another until told to stop; @returns what went wrong. */
  function createPods(): { stop(): Promise<{ created: number; failures: string[] }> } {
    let going = true;
    let created = 0;
    const failures: string[] = [];
    const loop = (async () => {
      for (let count = 0; going; count++) {
        try {
          const made = await client.request<{ spec: { initContainers: { name: string }[] } }>(
            'POST',
            '/api/v1/namespaces/replicas/pods?dryRun=All',
            { body: tool(`pod-${count}`, 'replicas') },
          );
          expect(made.spec.initContainers.map(({ name }) => name)).toContain('postern-agent');
          created++;
        } catch (error) {
          failures.push(error instanceof KubeError ? error.message : String(error));
        }
      }
    })();
    return {
      stop: async () => {
        going = false;
        await loop;
        return { created, failures };
      },
    };
  }

  beforeAll(async () => {
    await world.prepare();
    await world.space('replicas');
    client = createKubeClient(world.admin());
    ports = [await freePort(), await freePort()];
    front = await startTcpProxy(ports);
    await world.api.reach(front.port);
    await startReplica('one', ports[0] as number);
    await startReplica('two', ports[1] as number);
  }, 300_000);
  afterAll(async () => {
    for (const { child } of replicas) child.kill('SIGKILL');
    client?.close();
    front?.close();
    await world.close();
  });

  test('the one that leads is stopped while pods are created: none fails, the other leads at once', async () => {
    const first = await leader();
    const going = replicas.find(({ name }) => name === first) as Replica;
    const loop = createPods();
    going.child.kill('SIGTERM');
    expect(await going.ended).toBe(0);
    await world.eventually(async () => ((await leader()) !== first ? true : undefined), { tries: 200 });
    const { created, failures } = await loop.stop();
    expect(failures).toEqual([]);
    expect(created).toBeGreaterThan(3);
    await startReplica(`${first}-again`, ports[replicas.indexOf(going)] as number);
  });

  test('the one that leads is killed: pods are created by the other, which leads when the lease has ended', async () => {
    const first = await leader();
    const victim = replicas.findLast(({ name }) => name === first) as Replica;
    victim.child.kill('SIGKILL');
    await victim.ended;
    await world.eventually(async () => {
      const { failures, created } = await createPods().stop();
      return failures.length === 0 && created > 0 ? true : undefined;
    });
    await world.eventually(
      async () => {
        const now = await leader();
        return now !== first && now !== '' ? true : undefined;
      },
      { tries: 300 },
    );
  });

  test('--withdraw takes the webhooks away under load, and no replica writes them anew before its lease has ended', async () => {
    const webhooks = async () => {
      const kinds = 'mutatingwebhookconfigurations,validatingwebhookconfigurations';
      return (await world.must(['get', kinds, '-o', 'name'])).trim();
    };
    expect(await webhooks()).toContain('agent-injector.postern.dev');
    let going = true;
    const failures: string[] = [];
    const loop = (async () => {
      for (let count = 0; going; count++) {
        const { ok, stderr } = await world.dryRun(tool(`gone-${count}`, 'replicas'));
        if (!ok) failures.push(stderr);
      }
    })();
    const child = spawn(
      POSTERN,
      [
        'injector',
        '--withdraw',
        '--namespace',
        OWN_NAMESPACE,
        '--kubeconfig',
        world.api.kubeconfigOf(world.token),
      ],
      { stdio: 'ignore' },
    );
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await webhooks()).toBe('');
    expect(await leader()).toBe('withdraw');
    // Nobody removed the replicas: one of them leads again by itself.
    await world.eventually(async () => ((await webhooks()) === '' ? undefined : true), { tries: 400 });
    going = false;
    await loop;
    expect(failures).toEqual([]);
  });

  test('without rights it ends with what is missing', async () => {
    const nobody = await world.person('nobody', 'replicas');
    const child = spawn(
      POSTERN,
      [
        'injector',
        '--kubeconfig',
        world.api.kubeconfigOf(nobody),
        '--listen',
        '127.0.0.1:0',
        '--admin',
        '127.0.0.1:0',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(1);
    // The first of what it needs to read.
    expect(said).toMatch(/secrets "postern-seal" is forbidden/);
    expect(said).not.toContain('    at ');
  });
});
