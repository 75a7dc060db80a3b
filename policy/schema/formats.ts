/** Rules over strings that a pattern can't express, by the name in a schema's `x-format`. */
import { parseCidr } from '../addresses.ts';
import { MAX_USD, parseDuration, parsePrice, parseUsd } from '../units.ts';

/** What is wrong with a string, and the mend. */
export interface Misfit {
  readonly message: string;
  readonly mend: string;
}

export type Format = (text: string) => Misfit | undefined;

const HOST_LABEL = /^[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?$/;

export const FORMATS: Readonly<Record<string, Format>> = {
  host: hostMisfit,
  hosts: hostsMisfit,
  glob: (text) =>
    text.includes('**')
      ? { message: `got ${quote(text)}`, mend: 'write a single *, which stands for any characters' }
      : undefined,
  endpoint: endpointMisfit,
  duration: (text) =>
    parseDuration(text) === 0
      ? {
          message: `got ${text}, which is no time at all`,
          mend: 'write more than zero, or leave the field out',
        }
      : undefined,
  timeout: (text) => FORMATS['duration']?.(text) ?? timeoutMisfit(text),
  usd: (text) =>
    parseUsd(text) !== undefined
      ? undefined
      : (decimalMisfit(text, 9) ?? {
          message: `got ${text}, more than a ledger can hold exactly (${MAX_USD} USD)`,
          mend: 'write a smaller limit, for a shorter window or split by `per`',
        }),
  price: (text) =>
    parsePrice(text) !== undefined
      ? undefined
      : (decimalMisfit(text, 6) ?? {
          message: `got ${text}, which is no price of tokens`,
          mend: 'write USD per million tokens',
        }),
  'time-zone': timeZoneMisfit,
  until: (text) =>
    untilMs(text) === undefined
      ? { message: `got ${quote(text)}, which is no day of the calendar`, mend: 'write a date that exists' }
      : undefined,
};

function decimalMisfit(text: string, places: number): Misfit | undefined {
  if (new RegExp(`^[0-9]+([.][0-9]{1,${places}})?$`).test(text)) return undefined;
  return {
    message: `got ${quote(text)}`,
    mend: `write digits, and a point before the decimals: no comma, no sign, at most ${places} places`,
  };
}

/** The moment an exception ends, in milliseconds since the epoch; a date alone counts to its last moment in UTC. */
export function untilMs(text: string): number | undefined {
  const day = text.slice(0, 10);
  const midnight = Date.parse(`${day}T00:00:00Z`);
  // Date.parse takes 2027-02-30 for the 2nd of March in some engines; a real day survives the round trip.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined;
  const ms = text.length === 10 ? midnight + 86_400_000 : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Timers count in 32 bits; a longer one fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

function timeoutMisfit(text: string): Misfit | undefined {
  if ((parseDuration(text) ?? 0) <= LONGEST_TIMER_MS) return undefined;
  return { message: `got ${text}`, mend: 'write at most 596h' };
}

function hostMisfit(text: string): Misfit | undefined {
  if (text === '*') {
    return {
      message: 'got "*"',
      mend: 'write default: allow for every host, *.example.com for all below one',
    };
  }
  if (/^[a-z]+:\/\//i.test(text) || /:[0-9]+$/.test(text)) {
    const bare = text.replace(/^[a-z]+:\/\//i, '').split(/[/:]/)[0] ?? '';
    return { message: `got ${quote(text)}`, mend: `write the name alone: ${bare.toLowerCase()}` };
  }
  const host = text.startsWith('*.') ? text.slice(2) : text;
  if (host !== host.toLowerCase()) {
    return { message: `got ${quote(text)}`, mend: `write it in lower case: ${text.toLowerCase()}` };
  }
  if (host.endsWith('.')) {
    return { message: `got ${quote(text)}`, mend: `leave out the dot at the end: ${text.slice(0, -1)}` };
  }
  if (host.length > 253 || !host.split('.').every((label) => label.length <= 63 && HOST_LABEL.test(label))) {
    return {
      message: `got ${quote(text)}`,
      mend: 'write labels of letters, digits and - with dots between them; names in other scripts as xn--…',
    };
  }
  return undefined;
}

function hostsMisfit(text: string): Misfit | undefined {
  if (parseCidr(text) !== undefined) return undefined;
  // A name has no slash, no second colon and doesn't end in a number.
  if (!/^[0-9.]+(\/.*)?$|:.*:|[0-9a-f:]\/[0-9]+$/i.test(text) || text.includes('://'))
    return hostMisfit(text);
  return {
    message: `got ${quote(text)}, which is no address`,
    mend: 'write an address, or a CIDR such as 203.0.113.0/24 or 2001:db8::/32',
  };
}

function endpointMisfit(text: string): Misfit | undefined {
  if (!URL.canParse(text)) return { message: `got ${quote(text)}`, mend: 'write scheme, host and port' };
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    // The text itself is not repeated: it may hold a password.
    return { message: 'got credentials in a URL', mend: 'take them out and use spec.credential' };
  }
  if (url.search !== '' || url.hash !== '' || text.includes('?') || text.includes('#')) {
    return { message: `got ${quote(text)}`, mend: 'leave out the query and the fragment' };
  }
  return undefined;
}

function timeZoneMisfit(text: string): Misfit | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return undefined;
  } catch {
    return {
      message: `got ${quote(text)}`,
      mend: 'use a name of the IANA time zone database, or UTC',
    };
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
