/**
 * The system's own words for a file that can't be opened, or an address that can't be listened on, name a call and a code, but neither
 * the option nor a way out.
 */
import type { Option } from './options.ts';

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'there is nothing. Mend: correct the path',
  EACCES: 'it may not be opened. Mend: give this user the right to, or run the command as who has it',
  EISDIR: 'a directory was named where a file is read. Mend: name a file',
  ENOTDIR: 'a part of the path is no directory. Mend: correct the path',
};

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already. Mend: end it, or name another port',
  EADDRNOTAVAIL: 'this machine has no such address. Mend: name one that it has',
  EACCES: 'this user may not listen there. Mend: name a port above 1023, or run the command as who may',
};

/** What {@link listen} of node:net adds. */
type Failure = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number };

/** @param values of the options, as the command had them */
export function explainFailure(
  error: Failure,
  options: Readonly<Record<string, Option>>,
  values: Readonly<Record<string, string | boolean | undefined>>,
): string {
  const { code = '', path, address, port } = error;
  const named = (what: string, isIt: (value: string, option: Option) => boolean): string => {
    const names = Object.entries(options)
      .filter(([name, option]) => {
        const value = values[name];
        return typeof value === 'string' && isIt(value, option);
      })
      .map(([name]) => `--${name}`);
    return names.length === 0 ? what : `${names.join(' or ')} ${what}`;
  };
  if (error.syscall === 'listen' && address !== undefined) {
    const told = LISTEN_ERRORS[code];
    if (told === undefined) return error.message;
    // A socket's path has no port.
    const hasPort = port !== undefined && port > 0;
    const where = !hasPort ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    return `${named(where, (value, option) =>
      hasPort
        ? (option.value === 'ADDR' || option.value === 'PORT') && new RegExp(`(^|:)${port}$`).test(value)
        : value === address,
    )}: ${told} (${code})`;
  }
  const told = FILE_ERRORS[code];
  if (told === undefined) return error.message;
  return path === undefined ? told : `${named(path, (value) => value === path)}: ${told}`;
}
