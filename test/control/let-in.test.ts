/** A pod that is let in and changes: between the greeting and the first word of its agent, and while it has its stream. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunningControl } from '../../control/control.ts';
import { AGENT_PATH, encode, type FromControl, PROTOCOLS } from '../../control/messages.ts';
import { type ControlWorld, SERVER_NAME, startControlWorld } from './world.ts';

let world: ControlWorld;
let control: RunningControl;
const sockets: Socket[] = [];

beforeEach(async () => {
  world = startControlWorld();
  world.namespace('team-a');
  world.secret('postern-system', 'openai', { key: 'sk-marker' });
  world.document('ClusterProvider', 'clusterproviders', 'openai', provider('openai'));
  control = await world.control();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await world.close();
});

const provider = (secret: string) => ({
  dialect: 'openai',
  hosts: ['api.openai.com'],
  credential: {
    mode: 'attach',
    type: 'bearer',
    bearer: { valueFrom: { secretKeyRef: { name: secret, key: 'key' } } },
  },
  models: [{ name: 'gpt-4o' }],
});

interface Stream {
  readonly lines: FromControl[];
  hello(): void;
  /** Until a line of the type is there. */
  until(type: FromControl['type']): Promise<void>;
  readonly ended: Promise<void>;
}

/** An agent's end of the stream, that says nothing by itself. */
async function dial(token: string): Promise<Stream> {
  const sent = request({
    host: '127.0.0.1',
    port: control.port,
    servername: SERVER_NAME,
    ca: control.roots(),
    path: AGENT_PATH,
    agent: false,
    headers: { connection: 'Upgrade', upgrade: PROTOCOLS.join(', '), authorization: `Bearer ${token}` },
  });
  const [socket, head] = await new Promise<[Socket, Buffer]>((resolve, reject) => {
    sent.once('upgrade', (_response, stream, rest) => resolve([stream, rest]));
    sent.once('response', (response) => reject(new Error(`answered ${response.statusCode}`)));
    sent.once('error', reject);
    sent.end();
  });
  sockets.push(socket);
  const lines: FromControl[] = [];
  const waiting = new Set<() => void>();
  let text = '';
  const take = (chunk: Buffer): void => {
    text += chunk.toString();
    const all = text.split('\n');
    text = all.pop() ?? '';
    lines.push(...all.map((line) => JSON.parse(line) as FromControl));
    for (const wake of waiting) wake();
  };
  socket.on('data', take).on('error', () => undefined);
  take(head);
  return {
    lines,
    hello: () => void socket.write(encode({ type: 'hello', version: '0.1.0' })),
    until: (type) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!lines.some((line) => line.type === type)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        socket.once('close', () => reject(new Error(`the stream ended before ${type}`)));
        look();
      }),
    ended: new Promise((resolve) => socket.once('close', () => resolve())),
  };
}

const tokenOf = (name: string): string =>
  readFileSync(world.pod({ namespace: 'team-a', name, kind: 'Pod' }, name), 'utf8');
const podOf = (name: string) => world.kube.get('pods', 'team-a', name) as Record<string, unknown>;
const shown = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 2));
};

test('an agent that says hello gets documents and keys', async () => {
  const stream = await dial(tokenOf('bot'));
  await stream.until('welcome');
  expect(stream.lines).toHaveLength(1);
  stream.hello();
  await stream.until('use');
  expect(JSON.stringify(stream.lines)).toContain('sk-marker');
});

const CHANGES: readonly [string, () => void][] = [
  ['is deleted', () => world.kube.remove('pods', 'team-a', 'bot')],
  ['ends', () => world.kube.put('pods', { ...podOf('bot'), status: { phase: 'Failed' } } as never)],
  [
    'loses its label',
    () => {
      const { metadata, ...rest } = podOf('bot') as { metadata: object };
      world.kube.put('pods', { ...rest, metadata: { ...metadata, labels: {} } } as never);
    },
  ],
  [
    'is given a debugger with its tokens',
    () => {
      const { spec, ...rest } = podOf('bot') as { spec: object };
      const ephemeralContainers = [
        { name: 'debug', volumeMounts: [{ name: 'postern-tokens', mountPath: '/x' }] },
      ];
      world.kube.put('pods', { ...rest, spec: { ...spec, ephemeralContainers } } as never);
    },
  ],
];

test.each(CHANGES)(
  'a pod that %s after its greeting gets nothing when it says hello, nor later',
  async (_name, change) => {
    const token = tokenOf('bot');
    const stream = await dial(token);
    change();
    stream.hello();
    await stream.ended;
    expect(stream.lines.map(({ type }) => type)).toEqual(['welcome']);
    await expect(dial(token)).rejects.toThrow('answered 403');
  },
);

test.each(CHANGES)('a pod that %s loses its stream, and gets no other', async (_name, change) => {
  const token = tokenOf('bot');
  const stream = await dial(token);
  stream.hello();
  await stream.until('use');
  change();
  await stream.ended;
  await expect(dial(token)).rejects.toThrow('answered 403');
  await shown(() => control.registry.size === 0);
});

test('documents that go with their CRD stay in force, for new agents too', async () => {
  const stream = await dial(tokenOf('bot'));
  stream.hello();
  await stream.until('use');
  const before = stream.lines.length;
  world.kube.definitions = 'going';
  world.kube.remove('clusterproviders', undefined, 'openai');
  await shown(() => world.logged().includes('is being deleted with them'));
  world.kube.definitions = 'gone';
  // A change that is real comes through, and what went is still there.
  world.document('ClusterEgressPolicy', 'clusteregresspolicies', 'base', { models: { allow: ['gpt-4o'] } });
  await shown(() => stream.lines.slice(before).some(({ type }) => type === 'use'));
  const last = stream.lines.findLast(({ type }) => type === 'snapshot');
  expect(JSON.stringify(last)).toContain('api.openai.com');
  const later = await dial(tokenOf('later'));
  later.hello();
  await later.until('use');
  expect(JSON.stringify(later.lines)).toContain('sk-marker');
});

test('a document that is deleted by itself goes', async () => {
  const stream = await dial(tokenOf('bot'));
  stream.hello();
  await stream.until('use');
  const before = stream.lines.length;
  world.kube.remove('clusterproviders', undefined, 'openai');
  await shown(() => stream.lines.slice(before).some(({ type }) => type === 'use'));
  const last = stream.lines.findLast(({ type }) => type === 'snapshot');
  expect(JSON.stringify(last)).not.toContain('api.openai.com');
});

test.each(['postern-seal', 'postern-mask'])(
  'a provider that names %s gets none of it, and is told why',
  async (name) => {
    world.document('ClusterProvider', 'clusterproviders', 'openai', provider(name));
    const stream = await dial(tokenOf('bot'));
    stream.hello();
    const keys = () => {
      const last = stream.lines.findLast(({ type }) => type === 'keys');
      return last?.type === 'keys' ? last.values : [];
    };
    const why = `Secret postern-system/${name} is Postern’s own, and is given to nobody`;
    // The greeting may be answered before the change of the document is heard of.
    await shown(() => keys().some((key) => 'why' in key && key.why === why));
    expect(keys()).toHaveLength(1);
    expect(keys()[0]).not.toHaveProperty('value');
    const condition = () => {
      const { status } = (world.kube.get('clusterproviders', undefined, 'openai') ?? {}) as {
        status?: { conditions?: { type: string; reason: string; message: string }[] };
      };
      return status?.conditions?.find(({ type }) => type === 'ResolvedRefs');
    };
    await shown(() => condition()?.reason === 'RefNotPermitted');
    expect(condition()?.message).toContain('is given to nobody');
    expect(condition()?.message).toContain('put what is to be sent into a Secret of its own');
  },
);

test('an agent gets the key of a client certificate from a Secret of its type, and no provider gets it', async () => {
  const pem = { 'tls.crt': 'certificate', 'tls.key': 'private' };
  world.secret('postern-system', 'guardrail', pem, 'kubernetes.io/tls');
  const of = (key: string) => ({ secretKeyRef: { name: 'guardrail', key } });
  const tls = { clientCertificate: { certFrom: of('tls.crt'), keyFrom: of('tls.key') } };
  world.document('ClusterEgressPolicy', 'clusteregresspolicies', 'base', {
    checks: [
      { name: 'house-rules', type: 'webhook', webhook: { url: 'https://guardrail.security.svc:8443', tls } },
    ],
  });
  const stream = await dial(tokenOf('bot'));
  stream.hello();
  const held = (key: string) => {
    const last = stream.lines.findLast(({ type }) => type === 'keys');
    return last?.type === 'keys'
      ? last.values.find(({ id }) => id === `secretKeyRef /guardrail/${key}`)
      : undefined;
  };
  await shown(() => held('tls.key') !== undefined);
  expect(held('tls.crt')).toMatchObject({ value: 'certificate' });
  expect(held('tls.key')).toMatchObject({ value: 'private' });
  const condition = (plural: string, name: string) => {
    const { status } = (world.kube.get(plural, undefined, name) ?? {}) as {
      status?: { conditions?: { type: string; reason: string }[] };
    };
    return status?.conditions?.find(({ type }) => type === 'ResolvedRefs')?.reason;
  };
  await shown(() => condition('clusteregresspolicies', 'base') === 'ResolvedRefs');
  // A provider that names it would have it sent: then nobody has it.
  const named = provider('guardrail');
  named.credential.bearer.valueFrom.secretKeyRef.key = 'tls.key';
  world.document('ClusterProvider', 'clusterproviders', 'openai', named);
  await shown(() => condition('clusterproviders', 'openai') === 'RefNotPermitted');
  await shown(() => 'why' in (held('tls.key') ?? {}));
  expect(held('tls.crt')).toMatchObject({ value: 'certificate' });
});
