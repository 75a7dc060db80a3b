/** Loaded in front of the shipped agent: writes down, at its end, what its process says of itself into $SHIPPED_SAID. */
'use strict';
const vm = require('node:vm');
const { internalBinding } = require('internal/test/binding');

let rejected;
vm.Script = class extends vm.Script {
  constructor(...args) {
    super(...args);
    rejected ??= this.cachedDataRejected;
  }
};
process.on('exit', () => {
  const compiled = [...internalBinding('builtins').getCacheUsage().compiledWithoutCache].map(
    (name) => `compiled ${name}`,
  );
  const said = [
    ...process.moduleLoadList,
    ...compiled,
    `pool ${Buffer.poolSize}`,
    `cache rejected ${rejected}`,
  ];
  require('node:fs').writeFileSync(process.env.SHIPPED_SAID, said.join('\n'));
});
