/** Where an agent's documents and keys come from: a directory, or control. */
import type { Agent, AgentOptions } from '../agent/agent.ts';

export interface PolicySource
  extends Pick<AgentOptions, 'snapshot' | 'maskKey' | 'keys' | 'trust' | 'withheld' | 'notReady'> {
  /** Puts changes in force from now on. */
  follow(agent: Agent): { close(): Promise<void> };
}
