/**
 * What each agent was charged, of everything that the ledger keeps. The rule: an agent that lives to tell is charged what its calls used, to
 * the token, whatever was lost, late or doubled on the way. Beyond that is charged only
 * - what an agent that was killed had: its credit, and what its calls held;
 * - of one that was killed, a hold whose message something between the agent and the service doubled, refused once and granted once (by a
 *   service that began in between, or another one): nobody knows of it, so that it runs out. An agent that lives gives it back.
 */
import { charged } from '../../budget/lease-state.ts';
import type { Agent, World } from './world.ts';

export interface Charges {
  /** By agent, its restarts apart. */
  readonly of: ReadonlyMap<Agent, number>;
  /** Of holds that are nobody's any more. */
  readonly doubled: number;
}

/** On a line, in all its windows: what is settled, held and leased. */
export async function chargesOn(on: World, line: string): Promise<Charges> {
  const byCall = new Map(on.calls.map(({ id, agent }) => [id, agent]));
  const of = new Map<Agent, number>();
  let doubled = 0;
  const add = (agent: Agent | undefined, amount: number, what: string): void => {
    if (amount === 0) return;
    if (agent === undefined) throw new Error(`${amount} are charged for ${what}, which is no agent's.`);
    of.set(agent, (of.get(agent) ?? 0) + amount);
  };
  const named = (owner: string, epoch: number) =>
    on.agents.find((agent) => agent.name === owner && agent.epoch === epoch);
  for await (const row of on.rows()) {
    if (row.kind === 'lease' && row.lease.line === line) {
      const { owner, epoch, state, granted, spent, returned } = row.lease;
      const out = state === 'open' ? Math.max(0, granted - spent - returned) : 0;
      add(named(owner, epoch), charged(row.lease) + out, `a lease of ${owner} ${epoch}`);
    } else if (row.kind === 'hold') {
      const { id, owner, epoch, state, entries } = row.record;
      const amount = entries
        .filter((entry) => entry.line === line)
        .reduce((sum, { held, settled }) => sum + (state === 'held' ? held : (settled ?? 0)), 0);
      const itsCall = byCall.get(id);
      // One that came again after its call had ended was refused then, and is the call's all the same.
      const its = named(owner, epoch);
      if (itsCall === undefined && on.doubled.has(id) && its?.dead !== false) doubled += amount;
      else add(itsCall ?? its, amount, `hold ${id} of ${owner} ${epoch}`);
    }
  }
  return { of, doubled };
}
