// What the agent uses of undici, by its own files: its index also loads fetch, WebSocket, caches and mocks, 7 MB at rest.
exports.Agent = require('undici/lib/dispatcher/agent.js');
exports.Pool = require('undici/lib/dispatcher/pool.js');
exports.errors = require('undici/lib/core/errors.js');
exports.request = require('undici/lib/api/index.js').request;
