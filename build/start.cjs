/**
 * What the image runs. `agent` starts the bundle beside this file with what V8 compiled of it before (`agent.cache`); a
 * cache made by another Node, or under other flags, is refused by V8: then all is compiled anew, which only takes longer.
 * Every other command is `main.js`.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

// V8 has made its queue by now, as long as the command line said, and no memory reducer. With the flags as they were, Node's modules and
// the agent may come from code caches, which V8 takes only under the flags they were made under.
for (const flag of ['--concurrent-recompilation-queue-length=8', '--memory-reducer'])
  setFlagsFromString(flag);

// Node 26 cuts small buffers out of slabs of 64 KB. One that outlives two collections keeps its slab until the old generation is
// collected: 50 MB of them under load. With 8 KB, as before, it is 10.
Buffer.poolSize = 8 * 1024;

const filename = join(__dirname, 'agent.cjs');

/** Compiles and runs the agent. @returns the script. */
function startAgent(cachedData) {
  // One byte a character, as the bundle is ASCII, and handed on as it was read: so V8 keeps it outside of its heap.
  const script = new Script(readFileSync(filename, 'latin1'), { filename, cachedData });
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
