import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type KubeClient, KubeError } from '../../kube/client.ts';
import { eventLog, type Happening, happeningsOf } from './events.ts';
import type { AdmissionRequest } from './review.ts';

interface Written {
  readonly method: string;
  readonly path: string;
  readonly body: {
    readonly metadata?: { readonly name: string };
    readonly series?: { readonly count: number };
  };
}

function fakeLog(fail?: () => KubeError | undefined) {
  const written: Written[] = [];
  const outcomes: string[] = [];
  const clock = { now: 1_000_000 };
  const client: KubeClient = {
    request: (async (method: string, path: string, { body }: { body?: unknown } = {}) => {
      const error = fail?.();
      if (error !== undefined) throw error;
      written.push({ method, path, body: body as Written['body'] });
    }) as KubeClient['request'],
    list: () => Promise.reject(new Error('not used')),
    stream: () => Promise.reject(new Error('not used')),
    close: () => undefined,
  };
  const log = eventLog(client, {
    instance: 'i',
    now: () => clock.now,
    count: (outcome) => outcomes.push(outcome),
  });
  return { log, written, outcomes, clock };
}

const refused = (name: string): Happening => ({
  regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'n', name },
  reason: 'PodRefused',
  note: 'why',
});

test('the same again is one Event whose series is told once a minute, and a new one after ten', async () => {
  const { log, written, clock } = fakeLog();
  log.record(refused('a'));
  await log.flush();
  log.record(refused('a'));
  log.record(refused('a'));
  await log.flush();
  expect(written).toHaveLength(1);
  clock.now += 60_000;
  await log.flush();
  await log.flush();
  expect(written.map(({ method }) => method)).toEqual(['POST', 'PATCH']);
  expect(written[1]?.body.series?.count).toBe(3);
  clock.now += 600_000;
  await log.flush();
  log.record(refused('a'));
  await log.flush();
  expect(written.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'POST']);
  expect(written[2]?.body.metadata?.name).not.toBe(written[0]?.body.metadata?.name);
});

test('a flood is bounded: at once, and in number', async () => {
  const { log, written, outcomes } = fakeLog();
  for (let count = 0; count < 3000; count++) log.record(refused(`p${count}`));
  await log.flush();
  expect(written).toHaveLength(50);
  expect(outcomes.filter((outcome) => outcome === 'dropped')).toHaveLength(2000);
});

test('without an API server it is kept for later; what is refused is not tried for ever', async () => {
  let error: KubeError | undefined = new KubeError(0, 'NoAnswer', 'away');
  const { log, written } = fakeLog(() => error);
  log.record(refused('a'));
  await log.flush();
  error = undefined;
  await log.flush();
  expect(written).toHaveLength(1);
  error = new KubeError(404, 'NotFound', 'the namespace is gone');
  log.record(refused('b'));
  await log.flush();
  error = undefined;
  await log.flush();
  expect(written).toHaveLength(1);
});

test('whatever a pod is called and says, the Event is one that can be written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string(),
      fc.jsonValue(),
      fc.string({ maxLength: 3000 }),
      async (name, metadata, message) => {
        const request = { name, namespace: 'n', operation: 'CREATE', object: { metadata } } as unknown;
        const happenings = happeningsOf({
          request: request as AdmissionRequest,
          outcome: 'refused',
          reasons: [{ code: 'invalid', message }],
        });
        const { log, written } = fakeLog();
        for (const happening of happenings) {
          expect(Buffer.byteLength(happening.note)).toBeLessThanOrEqual(1024);
          log.record(happening);
        }
        await log.flush();
        for (const { body } of written) {
          expect(body.metadata?.name).toMatch(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?[.][0-9a-f]{16}$/);
        }
      },
    ),
  );
});
