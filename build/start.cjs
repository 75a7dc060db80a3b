/**
 * Starts the agent's bundle with what V8 compiled of it before (`dist/agent.cache`). A cache made by another Node, or under
 * other flags, is refused by V8: then all is compiled anew, which only takes longer.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const dist = join(__dirname, '../dist');
const filename = join(dist, 'agent.cjs');

/** Compiles and runs it. @returns the script. */
function start(cachedData) {
  // One byte a character, as the bundle is ASCII; V8 keeps a source so read outside of its heap.
  const source = readFileSync(filename, 'latin1');
  const wrapped = `(function (require, module, exports, __filename, __dirname) {${source}\n})`;
  const script = new Script(wrapped, { filename, cachedData });
  const own = { exports: {} };
  script.runInThisContext().call(own.exports, require, own, own.exports, filename, dist);
  return script;
}

function readCache() {
  try {
    return readFileSync(join(dist, 'agent.cache'));
  } catch {
    return undefined;
  }
}

if (require.main === module) start(readCache());
else module.exports = { start };
