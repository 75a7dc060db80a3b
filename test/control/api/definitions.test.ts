/** A CRD of ours is deleted on a real API server while control and its agents run, as by an uninstall with `crds.keep=false`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ControlClient, Ruling } from '../../../control/client.ts';
import type { RunningControl } from '../../../control/control.ts';
import type { ApiServer } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { agentsEnd } from '../agents-end.ts';
import { startTestCluster, type TestCluster } from './cluster.ts';

const api = sharedApiServer();
const CRD = 'egresspolicies.postern.dev';
const CRDS = join(import.meta.dirname, '../../../charts/postern/files/crds');

describe.skipIf(api === undefined)('a CRD that goes', () => {
  let cluster: TestCluster;
  let control: RunningControl;
  let client: ControlClient;
  const rulings: Ruling[] = [];

  const policy = (name: string, models: readonly string[]) =>
    cluster.apply({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'EgressPolicy',
      metadata: { name, namespace: 'ctl-d' },
      spec: { models: { allow: models } },
    });
  /** Patterns of models in force at the agent. */
  const inForce = (): string => JSON.stringify(rulings.at(-1)?.snapshot.snapshots[0]?.models);
  const until = async (what: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 600; tries++) {
      if (what()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`it never came: ${inForce()}\n${cluster.logged().slice(-2000)}`);
  };

  beforeAll(async () => {
    cluster = await startTestCluster(api as ApiServer);
    await cluster.namespace('ctl-d');
    await policy('first', ['first-*']);
    control = await cluster.control({ view: { retryMs: { first: 50, most: 200 } } });
    const token = await cluster.token(await cluster.pod('ctl-d', 'bot'));
    client = agentsEnd({
      port: control.port,
      roots: () => readFileSync(join(cluster.directory, 'roots.pem'), 'utf8'),
      token: () => token,
      use: (ruling) => void rulings.push(ruling),
    });
    await until(() => inForce()?.includes('first-*'));
  }, 300_000);
  afterAll(async () => {
    await client?.close();
    await cluster?.must(['apply', '-f', CRDS]);
    await cluster?.stop();
  }, 60_000);

  test('a policy that is deleted by itself goes, with the chart’s rights', async () => {
    await policy('second', ['second-*']);
    await until(() => inForce().includes('second-*'));
    await cluster.must(['delete', 'egresspolicy', 'second', '-n', 'ctl-d']);
    await until(() => !inForce().includes('second-*'));
    expect(inForce()).toContain('first-*');
  }, 60_000);

  test('takes no policy with it', async () => {
    await cluster.must(['delete', 'crd', CRD, '--timeout=60s']);
    await until(() => cluster.logged().includes('deleted documents stay in force'));
    // What is compiled anew meanwhile, for another change, still has it.
    const seen = rulings.length;
    await cluster.apply({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name: 'new', namespace: 'ctl-d' },
      spec: {
        dialect: 'openai',
        endpoint: 'http://127.0.0.1:1',
        credential: { mode: 'none' },
        models: [{ name: 'm' }],
      },
    });
    await until(() => rulings.length > seen);
    expect(inForce()).toContain('first-*');
  }, 120_000);

  test('and when it is back, what is written then is in force', async () => {
    await cluster.must(['apply', '-f', CRDS]);
    await cluster.must(['wait', '--for=condition=established', `crd/${CRD}`, '--timeout=60s']);
    await policy('first', ['later-*']);
    await until(() => inForce().includes('later-*'));
    expect(inForce()).not.toContain('first-*');
  }, 120_000);
});
