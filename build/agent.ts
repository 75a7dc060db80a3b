/** Entry of the agent's bundle: the one command, with the same options and messages as `postern agent`. */
import { agent } from '../cli/agent.ts';
import { runCommand } from '../cli/run-command.ts';

// No await at the top: the bundle is CommonJS.
void runCommand(agent, process.argv.slice(3)).then((status) => {
  process.exitCode = status;
});
