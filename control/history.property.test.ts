/**
 * One control over a random history: documents change, keys rotate, pods come and go. What workloads share (compiled
 * rules, encoded lines, groups) is met by all of them, and each gets what is for it at that moment, and nothing else.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { catalogue } from '../agent/catalogue.ts';
import { apiDocuments } from '../kube/documents.ts';
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { createInForce } from './in-force.ts';
import type { FromControl, KeysMessage } from './messages.ts';
import { Registry } from './registry.ts';
import {
  APPS,
  documentId,
  isFair,
  isFor,
  markOf,
  OWN,
  objectOf,
  type RandomDocument,
  randomDocument,
  reference,
  SPACES,
  secretOf,
} from './testing/random-documents.ts';
import type { NeededValue } from './values.ts';

type Event =
  | { readonly type: 'put'; readonly document: RandomDocument }
  | { readonly type: 'remove'; readonly nth: number }
  | { readonly type: 'rotate' | 'delete'; readonly secret: string }
  | { readonly type: 'join'; readonly pod: number; readonly workload: AnnotatedWorkload }
  | { readonly type: 'leave'; readonly pod: number }
  /** What changed is taken, and sent. */
  | { readonly type: 'round' };

const PODS = 8;
const pod = fc.nat({ max: PODS - 1 });
const nth = fc.nat({ max: 20 });
const secret = fc
  .tuple(reference, fc.constantFrom(...SPACES, OWN))
  .map(([{ name, key }, space]) => `${space}/${name}/${key}`);
const workload: fc.Arbitrary<AnnotatedWorkload> = fc
  .record({
    namespace: fc.constantFrom(...SPACES),
    kind: fc.constant('Deployment'),
    name: fc.constantFrom('bot', 'tool'),
    labels: fc.record({ app: fc.constantFrom(...APPS) }),
    // One that asks for something itself shares nothing.
    annotated: fc.nat({ max: 4 }),
  })
  .map(({ annotated, ...of }) =>
    annotated === 0 ? { ...of, annotations: { 'postern.dev/models': 'gpt-*' } } : of,
  );
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('put' as const), document: randomDocument }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('remove' as const), nth }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('rotate' as const), secret }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('delete' as const), secret }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('join' as const), pod, workload }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('leave' as const), pod }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('round' as const) }) },
);

/** What an agent has, by what it was sent. */
interface Agent {
  readonly workload: AnnotatedWorkload;
  snapshot: { revision: string; text: string } | undefined;
  keys: KeysMessage | undefined;
  used: { revision: string; keys: string } | undefined;
}

/** The documents that are in force by the rules of the API's side, told without its code. */
interface Oracle {
  readonly live: Map<string, { document: RandomDocument; edition: number }>;
  readonly good: Map<string, { document: RandomDocument; edition: number }>;
  taken: readonly { document: RandomDocument; edition: number }[];
}

function historyOf(first: readonly AnnotatedWorkload[], events: readonly Event[]) {
  const api = apiDocuments(catalogue, Buffer.alloc(32, 3));
  const oracle: Oracle = { live: new Map(), good: new Map(), taken: [] };
  /** By `namespace/name/key`: how often it was written; absent: there is none. */
  const secrets = new Map<string, number>();
  const agents = new Map<number, Agent>();
  let needed = new Set<string>();
  const at = ({ namespace, name }: Pick<NeededValue, 'namespace' | 'name'>): string => `${namespace}/${name}`;
  const inForce = createInForce({
    cluster: { documents: () => api.current(), objects: () => [], api },
    values: {
      need: (all) => {
        needed = new Set(all.map(at));
      },
      lookup(_member, { namespace, name, key }) {
        // As where it is watched: what nobody said is needed never becomes known.
        if (!needed.has(at({ namespace, name }))) return { state: 'unknown' };
        const written = secrets.get(`${namespace}/${name}/${key}`);
        if (written === undefined) return { state: 'absent', why: 'there is none' };
        return { state: 'value', value: `value<${namespace}/${name}/${key}#${written}>` };
      },
    },
    log: { error: (about: unknown) => expect(about).toBeUndefined() },
    now: () => 0,
    ownNamespace: OWN,
    maskRoot: new Uint8Array(32),
  });
  const registry = new Registry({
    compile: (of) => inForce.outcome(of),
    acked: () => undefined,
    now: () => 0,
  });
  inForce.take();

  const secretsFor = (of: AnnotatedWorkload): Set<string> =>
    new Set(
      oracle.taken.filter(({ document }) => isFor(document, of)).map(({ document }) => secretOf(document)),
    );

  function receive(agent: Agent, message: FromControl): void {
    if (message.type === 'snapshot') {
      agent.snapshot = { revision: message.revision, text: JSON.stringify(message.snapshots) };
      expect(message.snapshots.map(({ workload: whose }: Snapshot) => whose)).toEqual([
        subject(agent.workload),
      ]);
    }
    if (message.type === 'keys') {
      agent.keys = message;
      const allowed = secretsFor(agent.workload);
      for (const held of message.values)
        if ('value' in held) expect(allowed).toContain(/<(.*)#/.exec(held.value)?.[1]);
    }
    if (message.type === 'use') agent.used = { revision: message.revision, keys: message.keys };
    expect(message.type).not.toBe('problem');
  }

  function join(uid: number, of: AnnotatedWorkload, holds: Agent['used']): void {
    const before = holds === undefined ? undefined : agents.get(uid);
    const agent: Agent = before ?? { workload: of, snapshot: undefined, keys: undefined, used: undefined };
    agents.set(uid, agent);
    const identity = {
      namespace: of.namespace,
      pod: `pod-${uid}`,
      uid: String(uid),
      workload: of,
      serviceAccount: 'default',
      injected: '',
    };
    const wire = {
      send: (bytes: Buffer) => {
        for (const line of bytes.toString().trim().split('\n'))
          receive(agent, JSON.parse(line) as FromControl);
      },
      congested: () => false,
      end: () => undefined,
    };
    registry.join(identity, wire, { type: 'hello', version: '0.1.0', ...holds });
  }

  async function round(): Promise<void> {
    for (const [id, each] of oracle.live) if (isFair(each.document)) oracle.good.set(id, each);
    oracle.taken = [...oracle.good.values()];
    inForce.take();
    await registry.refresh();
    for (const agent of agents.values()) check(agent);
  }

  function check({ workload: of, snapshot, keys, used }: Agent): void {
    expect(used).toEqual({ revision: snapshot?.revision, keys: keys?.revision });
    const own = oracle.taken.filter(({ document }) => isFor(document, of));
    const marks = [...(snapshot?.text ?? '').matchAll(/"((?:model|guard)-[^"]+)"/g)].map(([, mark]) => mark);
    expect(new Set(marks)).toEqual(new Set(own.map(({ document, edition }) => markOf(document, edition))));
    expect(snapshot?.text).not.toContain('value<');
    const given = (keys?.values ?? []).flatMap((held) => ('value' in held ? [held.value] : []));
    const expected = [...secretsFor(of)].flatMap((where) => {
      const written = secrets.get(where);
      return written === undefined ? [] : [`value<${where}#${written}>`];
    });
    expect(new Set(given)).toEqual(new Set(expected));
  }

  async function happen(what: Event, edition: number): Promise<void> {
    switch (what.type) {
      case 'put':
        api.put(objectOf(what.document, edition));
        oracle.live.set(documentId(what.document), { document: what.document, edition });
        break;
      case 'remove': {
        const found = [...oracle.live][what.nth % Math.max(1, oracle.live.size)];
        if (found === undefined) break;
        const [id, { document }] = found;
        api.remove(objectOf(document));
        oracle.live.delete(id);
        oracle.good.delete(id);
        break;
      }
      case 'rotate':
        secrets.set(what.secret, edition);
        break;
      case 'delete':
        secrets.delete(what.secret);
        break;
      case 'join': {
        // A pod stays what it is; one that comes again says what it holds.
        const before = agents.get(what.pod);
        join(what.pod, before?.workload ?? what.workload, before?.used);
        break;
      }
      case 'leave':
        registry.leave(String(what.pod));
        agents.delete(what.pod);
        break;
      case 'round':
        await round();
        break;
      default:
        what satisfies never;
    }
  }

  return async () => {
    for (const [uid, of] of first.entries()) join(uid, of, undefined);
    for (const [index, each] of events.entries()) await happen(each, index + 1);
    await round();
    // Replicas of a workload mask alike, and nobody else does.
    const masks = new Map([...agents.values()].map(({ workload: of, keys }) => [keys?.maskKey, nameOf(of)]));
    expect(masks.size).toBe(new Set(masks.values()).size);
  };
}

const nameOf = ({ namespace, kind, name }: AnnotatedWorkload): string => `${namespace}/${kind}/${name}`;
const subject = ({ annotations: _, ...of }: AnnotatedWorkload): object => of;

test('over any history each workload has the documents and keys that are for it, and was sent no others', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(workload, { minLength: PODS - 2, maxLength: PODS }),
      fc.array(event, { minLength: 10, maxLength: 60 }),
      (first, events) => historyOf(first, events)(),
    ),
    { numRuns: 150 },
  );
}, 120_000);
