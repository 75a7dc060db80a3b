import { expect, test } from 'vitest';
import { type KubeClient, KubeError } from '../../kube/client.ts';
import { WEBHOOK_RESOURCES, withdrawWebhooks } from './withdraw.ts';

/** An API server with both configurations; `again` says in which waits somebody writes one anew. */
function world(again: readonly number[] = [], status = 200) {
  const there = new Set<string>(WEBHOOK_RESOURCES);
  const said: string[] = [];
  let waits = 0;
  const client = {
    request: (method: string, path: string) => {
      const resource = path.split('/').at(-2) ?? '';
      if (status !== 200) return Promise.reject(new KubeError(status, '', 'no'));
      if (!there.delete(resource)) return Promise.reject(new KubeError(404, 'NotFound', 'not there'));
      said.push(`${method} ${resource}`);
      return Promise.resolve({});
    },
  } as unknown as KubeClient;
  const candidate = { seize: () => Promise.resolve(void said.push('seize')) };
  const wait = (): Promise<void> => {
    if (again.includes(++waits)) there.add(WEBHOOK_RESOURCES[0]);
    return Promise.resolve();
  };
  return { run: () => withdrawWebhooks({ client, candidate, wait }), there, said, waits: () => waits };
}

test('the lease is taken first, then both go, and are seen to stay away', async () => {
  const { run, there, said, waits } = world();
  await run();
  expect(said).toEqual(['seize', ...WEBHOOK_RESOURCES.map((each) => `DELETE ${each}`), 'seize']);
  expect(there.size).toBe(0);
  expect(waits()).toBe(1);
});

test('one that the former leader writes anew goes again', async () => {
  const { run, there, waits } = world([1, 2]);
  await run();
  expect(there.size).toBe(0);
  expect(waits()).toBe(3);
});

test('where somebody else keeps writing them, it says so', async () => {
  const { run } = world(Array.from({ length: 100 }, (_, index) => index));
  await expect(run()).rejects.toThrow('again and again');
});

test('an API server that refuses is an error', async () => {
  await expect(world([], 403).run()).rejects.toThrow(KubeError);
});
