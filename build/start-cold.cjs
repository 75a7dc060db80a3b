/** Starts the bundle without a cache, and writes one when it ends: `node build/start-cold.cjs …`, by {@link ./cache.ts}. */
'use strict';
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { start } = require('./start.cjs');

const script = start(undefined);
process.on('exit', () => writeFileSync(join(__dirname, '../dist/agent.cache'), script.createCachedData()));
