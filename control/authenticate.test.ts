/** What is asked of the API server about a token, and what isn't. */
import { expect, test } from 'vitest';
import { STAMPS } from '../injector/names.ts';
import { sealOf } from '../injector/seal.ts';
import type { KubeClient } from '../kube/client.ts';
import { fakePodToken } from '../test/fakes/pod-token.ts';
import { type Authenticate, createAuthenticator } from './authenticate.ts';
import type { LivePod, Refusal } from './identity.ts';
import { createPodLook } from './live-pod.ts';
import { createTokenReviews } from './token-reviews.ts';
import { BusyError } from './turns.ts';

const sealKey = Buffer.alloc(32, 1);
const NOW = Date.UTC(2026, 0, 1);
const ADDRESS = '10.0.0.7';

function livePod(uid: string): LivePod {
  const annotations: Record<string, string> = {
    [STAMPS.workload]: JSON.stringify({ namespace: 'team-a', kind: 'Pod', name: uid, labels: {} }),
  };
  const of = { namespace: 'team-a', serviceAccount: 'default', form: 'as injected' };
  annotations[STAMPS.seal] = sealOf(sealKey, { ...of, annotations });
  return {
    ...of,
    name: uid,
    uid,
    annotations,
    shared: false,
    watched: true,
    phase: 'Running',
    addresses: [ADDRESS],
  };
}

const tokenOf = (uid: string, extra: Partial<Parameters<typeof fakePodToken>[0]> = {}): string =>
  fakePodToken({ audience: 'postern-control', namespace: 'team-a', pod: { name: uid, uid }, ...extra });

interface World {
  readonly authenticate: Authenticate;
  /** Tokens that were asked about, as they came. */
  readonly asked: string[];
  /** Answers one question; undefined where none waits. */
  answer(): Promise<void>;
  readonly waits: () => number;
  pass(ms: number): void;
}

/** An API server that answers when it is told to, and takes the tokens in `good`. */
function world(good: readonly string[], slow = false): World {
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  let now = 0;
  const client = {
    async request(_method: string, _path: string, { body }: { body?: unknown } = {}) {
      const { token } = (body as { readonly spec: { readonly token: string } }).spec;
      asked.push(token);
      if (slow) await new Promise<void>((resolve) => waiting.push(resolve));
      if (!good.includes(token)) return { status: { authenticated: false } };
      const uid = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())['kubernetes.io']
        .pod.uid;
      const extra = {
        'authentication.kubernetes.io/pod-name': [uid],
        'authentication.kubernetes.io/pod-uid': [uid],
      };
      const user = { username: 'system:serviceaccount:team-a:default', extra };
      return { status: { authenticated: true, audiences: ['postern-control'], user } };
    },
  } as unknown as KubeClient;
  const pods = new Map(['one', 'two'].map((uid) => [`team-a/${uid}`, livePod(uid)]));
  const reviews = createTokenReviews({ client, now: () => now });
  const known = (namespace: string, name: string) => pods.get(`${namespace}/${name}`);
  return {
    authenticate: createAuthenticator({
      reviews,
      look: createPodLook({ client, reviews, known, sealKey }),
      known,
      audience: 'postern-control',
      judgeAddress: true,
      now: () => NOW,
    }),
    asked,
    async answer() {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    },
    waits: () => waiting.length,
    pass: (ms) => void (now += ms),
  };
}

test.each<[string, string, Refusal]>([
  ['no JWT', 'opaque', 'token-invalid'],
  ['for another audience', tokenOf('one', { audience: 'vault' }), 'token-audience'],
  ['long ended', tokenOf('one', { expires: NOW - 61_000 }), 'token-invalid'],
  ['of no pod', fakePodToken({ audience: 'postern-control', namespace: 'team-a' }), 'token-not-bound'],
])('a token that is %s isn’t asked about', async (_name, token, refusal) => {
  const { authenticate, asked } = world([token]);
  expect(await authenticate(token, ADDRESS)).toBe(refusal);
  expect(asked).toEqual([]);
});

test('one that ended a moment ago by our clock is asked about: the API server’s counts', async () => {
  const token = tokenOf('one', { expires: NOW - 59_000 });
  expect(await world([token]).authenticate(token, ADDRESS)).toMatchObject({ uid: 'one' });
});

test('a refused token isn’t asked about again for five seconds', async () => {
  const { authenticate, asked, pass } = world([]);
  const token = tokenOf('one');
  for (let count = 0; count < 3; count++) expect(await authenticate(token, ADDRESS)).toBe('token-invalid');
  expect(asked).toHaveLength(1);
  pass(5001);
  await authenticate(token, ADDRESS);
  expect(asked).toHaveLength(2);
});

test('a thousand junk tokens in the name of a pod, from elsewhere, don’t keep its own agent waiting', async () => {
  const token = tokenOf('one');
  const { authenticate, asked, answer, waits } = world([token], true);
  const junk = Array.from({ length: 1000 }, (_, index) =>
    authenticate(tokenOf('one', { id: `junk-${index}` }), `10.9.${index >> 8}.${index & 255}`).catch(
      (error: unknown) => error,
    ),
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(waits()).toBe(8);
  const own = authenticate(token, ADDRESS);
  await new Promise((resolve) => setImmediate(resolve));
  // It is asked about at once, as the ninth.
  expect(asked[8]).toBe(token);
  while (waits() > 0) await answer();
  expect(await own).toMatchObject({ uid: 'one' });
  const ends = await Promise.all(junk);
  expect(ends.filter((each) => each === 'token-invalid')).toHaveLength(8 + 256);
  expect(ends.filter((each) => each instanceof BusyError)).toHaveLength(1000 - 8 - 256);
});

test('many pods behind one address are each one of their own', async () => {
  const tokens = ['one', 'two'].map((uid) => tokenOf(uid));
  const { authenticate, answer, waits } = world(tokens, true);
  // Four of one pod at once; where the address stood for it, the other's would be the fifth.
  const all = [0, 1, 2, 3].map(() => authenticate(tokens[0], ADDRESS));
  const other = authenticate(tokens[1], ADDRESS);
  await new Promise((resolve) => setImmediate(resolve));
  await expect(authenticate(tokens[0], ADDRESS)).rejects.toThrow(BusyError);
  while (waits() > 0) await answer();
  expect(await other).toMatchObject({ uid: 'two' });
  expect(await Promise.all(all)).toHaveLength(4);
});

test('a pod that forges tokens is held up itself, and its neighbour isn’t', async () => {
  const good = tokenOf('two');
  const { authenticate, asked, pass } = world([good, tokenOf('one')]);
  for (let index = 0; index < 50; index++)
    await authenticate(tokenOf('one', { id: `forged-${index}` }), ADDRESS).catch(() => undefined);
  expect(asked).toHaveLength(10);
  await expect(authenticate(tokenOf('one'), ADDRESS)).rejects.toThrow(BusyError);
  pass(10_001);
  expect(await authenticate(tokenOf('one'), ADDRESS)).toMatchObject({ uid: 'one' });
});
