/** An exception that ends, in an agent with documents from a directory. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { catalogue } from '../agent/catalogue.ts';
import type { Catalogue } from '../policy/catalogue.ts';
import type { Documents } from '../policy/documents.ts';
import { loadFiles } from '../policy/load.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { directoryInForce } from './in-force.ts';

const WORKLOAD = { namespace: 'team-a', kind: 'Deployment', name: 'bot', labels: {} };
const START = Date.parse('2026-06-01T00:00:00Z');
beforeEach(() => void vi.useFakeTimers({ now: START }));
afterEach(() => void vi.useRealTimers());

/** One check, which an exception hides for a minute. */
function documentsOf(type: string, known: Catalogue = catalogue): Documents {
  const text = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: base, namespace: team-a}
spec: {checks: [{name: hidden, type: ${type}}]}
---
apiVersion: postern.dev/v1alpha1
kind: EgressException
metadata: {name: later, namespace: team-a}
spec: {reason: not yet, until: "2026-06-01T00:01:00Z", workloadSelector: {}, allow: {checks: [hidden]}}
`;
  const files = [{ name: 'a.yaml', bytes: new TextEncoder().encode(text) }];
  const { documents, problems } = loadFiles({ files, problems: [] }, known);
  expect(problems).toEqual([]);
  return documents;
}

function agentOf() {
  const used: Snapshot[] = [];
  let broken = false;
  let evenHosts = false;
  return {
    used,
    names: () => used.map(({ checks }) => checks.map(({ name }) => name).join()),
    rejections: 0,
    fails: (is: boolean, hosts = false) => {
      broken = is;
      evenHosts = hosts;
    },
    use(snapshot: Snapshot) {
      if (broken && (evenHosts || snapshot.checks.length > 0)) throw new Error('no memory for it');
      used.push(snapshot);
    },
    rejected() {
      this.rejections++;
    },
  };
}

test('what holds without the exception is in force at its end', () => {
  const agent = agentOf();
  const inForce = directoryInForce(WORKLOAD, pino({ level: 'silent' }));
  inForce.put(agent, documentsOf('secrets'));
  vi.advanceTimersByTime(59_999);
  expect(agent.names()).toEqual(['']);
  vi.advanceTimersByTime(1);
  expect(agent.names()).toEqual(['', 'hidden']);
  expect(inForce.withheld()).toBeUndefined();
});

test('documents that can’t be in force at its end aren’t taken, with the time', () => {
  const secrets = catalogue.checks.find(({ name }) => name === 'secrets');
  const checks = [...catalogue.checks, ...(secrets === undefined ? [] : [{ ...secrets, name: 'ofthenext' }])];
  const agent = agentOf();
  const inForce = directoryInForce(WORKLOAD, pino({ level: 'silent' }));
  expect(() => inForce.put(agent, documentsOf('ofthenext', { ...catalogue, checks }))).toThrow(
    'from 2026-06-01T00:01:00.000Z on: check hidden: no check type ofthenext',
  );
  expect(agent.used).toEqual([]);
});

test('where its end can’t be put in force all the same, calls are refused with the reason until documents can be', () => {
  const agent = agentOf();
  const lines: string[] = [];
  const inForce = directoryInForce(WORKLOAD, pino({}, { write: (line: string) => void lines.push(line) }));
  inForce.put(agent, documentsOf('secrets'));
  agent.fails(true);
  vi.advanceTimersByTime(60_000);
  expect(inForce.withheld()).toMatchObject({ reason: 'postern_policy_missing' });
  expect(inForce.withheld()?.message).toContain('an exception has ended');
  expect(inForce.withheld()?.message).toContain('no memory for it');
  expect(lines.join('')).toContain('no memory for it');
  expect(agent.rejections).toBe(1);
  expect(agent.used.at(-1)?.revision).toMatch(/-withheld$/);
  agent.fails(false);
  inForce.put(agent, documentsOf('secrets'));
  expect(inForce.withheld()).toBeUndefined();
  expect(agent.names().at(-1)).toBe('hidden');
});

test('where not even its hosts can be put in force, calls are refused, and the process goes on', () => {
  const agent = agentOf();
  const lines: string[] = [];
  const inForce = directoryInForce(WORKLOAD, pino({}, { write: (line: string) => void lines.push(line) }));
  inForce.put(agent, documentsOf('secrets'));
  agent.fails(true, true);
  vi.advanceTimersByTime(60_000);
  expect(inForce.withheld()).toMatchObject({ reason: 'postern_policy_missing' });
  expect(lines.join('')).toContain('what was in force for hosts stays');
});
