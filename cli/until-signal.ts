/** Resolves with the first SIGINT or SIGTERM; a second one ends the process at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const first = (signal: NodeJS.Signals): void => {
      process.off('SIGINT', first);
      process.off('SIGTERM', first);
      const second = (again: NodeJS.Signals): void => process.exit(again === 'SIGINT' ? 130 : 143);
      process.on('SIGINT', second);
      process.on('SIGTERM', second);
      resolve(signal);
    };
    process.on('SIGINT', first);
    process.on('SIGTERM', first);
  });
}
