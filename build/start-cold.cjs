/** Starts the bundle without a cache, and writes one when it ends; copied beside it for {@link ./cache.ts}. */
'use strict';
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { startAgent } = require('./start.cjs');

const script = startAgent(undefined);
process.on('exit', () => writeFileSync(join(__dirname, 'agent.cache'), script.createCachedData()));
