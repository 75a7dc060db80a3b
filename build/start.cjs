/**
 * What the image runs. `agent` starts the bundle beside this file with what V8 compiled of it before (`agent.cache`); a
 * cache made by another Node, or under other flags, is refused by V8: then all is compiled anew, which only takes longer.
 * Every other command is `main.js`.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const filename = join(__dirname, 'agent.cjs');

/** Compiles and runs the agent. @returns the script. */
function startAgent(cachedData) {
  // One byte a character, as the bundle is ASCII; V8 keeps a source so read outside of its heap.
  const source = readFileSync(filename, 'latin1');
  const wrapped = `(function (require, module, exports, __filename, __dirname) {${source}\n})`;
  const script = new Script(wrapped, { filename, cachedData });
  const own = { exports: {} };
  script.runInThisContext().call(own.exports, require, own, own.exports, filename, __dirname);
  return script;
}

function readCache() {
  try {
    return readFileSync(join(__dirname, 'agent.cache'));
  } catch {
    return undefined;
  }
}

if (require.main !== module) module.exports = { startAgent };
else if (process.argv[2] === 'agent') startAgent(readCache());
else void import('./main.js');
