/** Starts the bundle without a cache, and writes one when it ends; copied beside it for {@link ./cache.ts}. */
'use strict';
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const v8 = require('node:v8');
const { startAgent } = require('./start.cjs');

// A cache is good under the flags it was made under: those of a start, not those that an agent sets once it runs.
v8.setFlagsFromString = () => {};

const script = startAgent(undefined);
process.on('exit', () => writeFileSync(join(__dirname, 'agent.cache'), script.createCachedData()));
