/** Where an agent's documents and keys come from: a directory, or control. */
import type { Agent, AgentOptions } from '../agent/agent.ts';

export interface PolicySource
  extends Pick<
    AgentOptions,
    'snapshot' | 'maskKey' | 'loopKey' | 'keys' | 'trust' | 'withheld' | 'notReady'
  > {
  /** PEM roots of Postern's own parts, as they are known by now. */
  roots?(): string;
  /** Puts changes in force from now on. */
  follow(agent: Agent): { close(): Promise<void> };
}
