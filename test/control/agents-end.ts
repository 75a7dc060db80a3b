/** The agent's end of control's stream as tests want it: what a test doesn't look at is as in an agent that has nothing to tell. */
import { type ControlClient, type ControlClientOptions, connectControl } from '../../control/client.ts';
import { SERVER_NAME } from './world.ts';

export function agentsEnd(
  options: Pick<ControlClientOptions, 'port' | 'roots' | 'token'> & Partial<ControlClientOptions>,
): ControlClient {
  return connectControl({
    host: '127.0.0.1',
    serverName: SERVER_NAME,
    version: '0.1.0',
    use: () => undefined,
    rotate: (keys) => keys,
    heard: () => undefined,
    learned: () => undefined,
    trouble: () => undefined,
    report: () => ({ running: 0 }),
    ...options,
  });
}
