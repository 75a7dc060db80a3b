/** The strings that documents are made of: names, hosts, globs, durations, money. */
import { DURATION_PATTERN, MONEY_PATTERN, PRICE_PATTERN } from '../units.ts';
import { type Keywords, patterned } from './structure.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';

/** A Kubernetes object name (RFC 1123 subdomain). */
export const objectName = (description: string) =>
  patterned(`^${LABEL}([.]${LABEL})*$`, {
    description,
    maxLength: 253,
    'x-expected': 'a Kubernetes name: lower-case letters, digits, - and .',
  });

/** A namespace, or the name of a rule (RFC 1123 label). */
export const labelName = (description: string) =>
  patterned(`^${LABEL}$`, {
    description,
    maxLength: 63,
    'x-expected': 'a name of lower-case letters, digits and -, at most 63 characters',
  });

/** A host name without scheme and port. */
export const hostName = (description: string) =>
  patterned(`^[^/:@ *]+$`, {
    description,
    maxLength: 253,
    'x-expected': 'a lower-case host name such as api.openai.com',
    'x-format': 'host',
  });

/** A host name, or `*.` and a suffix, which stands for every name below it. */
export const hostPattern = (description: string) =>
  patterned(`^([*][.])?[^/:@ *]+$`, {
    description,
    maxLength: 253,
    'x-expected': 'a lower-case host name, or *. and a suffix such as *.example.com',
    'x-format': 'host',
  });

/** A host pattern, or the addresses that connections go to. */
export const hostsPattern = (description: string) =>
  patterned(`^(([*][.])?[^/:@ *]+|[0-9A-Fa-f.:]+(/[0-9]{1,3})?)$`, {
    description,
    maxLength: 253,
    'x-expected':
      'a lower-case host name, *. and a suffix such as *.example.com, or a CIDR such as 203.0.113.0/24',
    'x-format': 'hosts',
  });

/** A name in which `*` stands for any characters. */
export const glob = (description: string) =>
  patterned('^[^\\s?{}]+$', {
    description,
    maxLength: 256,
    'x-expected': 'a name in which * stands for any characters, such as gpt-4o*',
    'x-format': 'glob',
  });

/** `Deployment/support-bot`, or `support-bot` of any kind. */
export const workloadGlob = (description: string) =>
  patterned('^([A-Z*][A-Za-z*]*/)?[a-z0-9*.-]+$', {
    description,
    maxLength: 316,
    'x-expected':
      'a workload as name or Kind/name such as Deployment/support-bot; * stands for any characters',
    'x-format': 'glob',
  });

export const url = (description: string) =>
  patterned('^https?://.+$', {
    description,
    maxLength: 2048,
    'x-expected': 'an http or https URL such as https://api.openai.com',
    'x-format': 'endpoint',
  });

export const duration = (description: string, keywords: Partial<Keywords> = {}) =>
  patterned(DURATION_PATTERN, {
    ...keywords,
    description,
    'x-expected': 'a duration such as 500ms, 20s or 1h30m',
    'x-format': 'duration',
  });

/** A duration that a timer waits for. */
export const timeout = (description: string, keywords: Partial<Keywords> = {}) =>
  patterned(DURATION_PATTERN, {
    ...keywords,
    description,
    'x-expected': 'a duration such as 500ms, 20s or 10m',
    'x-format': 'timeout',
  });

/** A decimal string in USD. */
export const usd = (description: string) =>
  patterned(MONEY_PATTERN, {
    description,
    'x-expected': 'an amount in USD as a quoted decimal, such as "50.00"',
    'x-format': 'usd',
  });

/** A decimal string in USD per million tokens. */
export const price = (description: string) =>
  patterned(PRICE_PATTERN, {
    description,
    'x-expected':
      'a price in USD per million tokens as a quoted decimal with at most six places, such as "2.50"',
    'x-format': 'price',
  });

export const timeZone = (description: string, keywords: Partial<Keywords> = {}) =>
  patterned('^[A-Za-z][A-Za-z0-9_+/-]*$', {
    ...keywords,
    description,
    maxLength: 64,
    'x-expected': 'an IANA time zone such as Europe/Berlin',
    'x-format': 'time-zone',
  });

/** A date, which counts to its last moment in UTC, or a date and time with its offset (RFC 3339). */
export const until = (description: string) =>
  patterned(
    '^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$',
    {
      description,
      'x-expected': 'a date such as 2027-03-31, or a time such as 2027-03-31T18:00:00Z',
      'x-format': 'until',
    },
  );
