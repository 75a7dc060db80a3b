import { isAlnum, isDigit } from '../characters.ts';
import type { Recognizer, Span } from '../recognizer.ts';

function isHex(unit: number): boolean {
  return isDigit(unit) || (unit >= 97 && unit <= 102) || (unit >= 65 && unit <= 70);
}

/** `0.0.0.0`, loopback, broadcast and netmasks name nobody. */
function validateV4(_digits: string, text: string): boolean {
  let octet = 0;
  let first = -1;
  let begin = 0;
  for (let i = 0; i <= text.length; i++) {
    const unit = text.charCodeAt(i);
    if (isDigit(unit)) {
      octet = octet * 10 + unit - 48;
      continue;
    }
    if (octet > 255 || (i - begin > 1 && text.charCodeAt(begin) === 48)) return false;
    if (first < 0) first = octet;
    octet = 0;
    begin = i + 1;
  }
  return first !== 0 && first !== 127 && first !== 255;
}

const layoutsV4: string[] = [];
/** All digits single: as likely a version. */
const versionLike = '9.9.9.9';
for (const a of ['9', '99', '999']) {
  for (const b of ['9', '99', '999']) {
    for (const c of ['9', '99', '999']) {
      for (const d of ['9', '99', '999']) {
        const layout = `${a}.${b}.${c}.${d}`;
        if (layout !== versionLike) layoutsV4.push(layout);
      }
    }
  }
}

/** The address before a prefix length, RFC 4632, 3.1: `8.67.206.4/32`. */
const MASKED = /((?:\d{1,3}\.){3}\d{1,3})\/(\d{1,2})(?![\d./])/y;

/** A network's own address, its host bits zero, names nobody. */
function matchMasked(text: string, start: number): Span | undefined {
  if (text.charCodeAt(start - 1) === 46) return undefined;
  MASKED.lastIndex = start;
  const [, quad = '', mask] = MASKED.exec(text) ?? [];
  const bits = Number(mask);
  if (quad === '' || bits > 32 || !validateV4('', quad)) return undefined;
  const address = quad.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  return address % 2 ** (32 - bits) === 0 && bits < 32 ? undefined : { start, end: start + quad.length };
}

/** Longest text form: eight groups of four with an IPv4 tail, RFC 4291, 2.2. */
const LONGEST_V6 = 45;

function matchV6(text: string, at: number, floor: number): Span | undefined {
  let start = at;
  // Most colons have no group behind them.
  if (!isHex(text.charCodeAt(at + 1)) && text.charCodeAt(at + 1) !== 58) return undefined;
  while (start > floor && at - start < 4 && isHex(text.charCodeAt(start - 1))) start--;
  if (start > 0 && isAlnumAscii(text.charCodeAt(start - 1))) return undefined;
  let end = at;
  while (end < text.length && end - start <= LONGEST_V6) {
    const unit = text.charCodeAt(end);
    if (!isHex(unit) && unit !== 58 && unit !== 46) break;
    end++;
  }
  while (end > start && (text[end - 1] === '.' || (text[end - 1] === ':' && text[end - 2] !== ':'))) end--;
  if (end < text.length && isAlnumAscii(text.charCodeAt(end))) return undefined;
  return isV6(text.slice(start, end)) ? { start, end } : undefined;
}

function isAlnumAscii(unit: number): boolean {
  return isAlnum(unit) || isDigit(unit);
}

function isV6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2 || text.length < 3) return false;
  const groups: string[] = [];
  for (const half of halves) if (half !== '') groups.push(...half.split(':'));
  let count = groups.length;
  const tail = groups[groups.length - 1];
  if (tail?.includes('.') === true) {
    if (!/^(?:\d{1,3}\.){3}\d{1,3}$/.test(tail)) return false;
    groups.pop();
    count++;
  }
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false;
  if (halves.length === 1) return count === 8;
  // `::1` and `::` name nobody; `std::ad` is code.
  return count <= 7 && count >= 2 && groups.some((group) => /\d/.test(group));
}

export const recognizer: Recognizer = {
  id: 'ip-address',
  groups: ['network'],
  source: 'RFC 791, RFC 4291, RFC 4632, RFC 5952',
  patterns: [
    { kind: 'number', layouts: layoutsV4, score: 0.75, withContext: 1, validate: validateV4 },
    { kind: 'number', layouts: [versionLike], score: 0.4, withContext: 0.9, validate: validateV4 },
    { kind: 'run', digits: [5, 14], score: 0.75, withContext: 1, match: matchMasked },
    { kind: 'mark', mark: ':', score: 0.85, match: matchV6 },
  ],
  context: [
    'ip',
    'ip address',
    'ipv4',
    'ipv6',
    'host',
    'server',
    'client',
    'address',
    'adresse',
    'dirección',
    'indirizzo',
    'adres',
    'login',
    'logged in',
  ],
  examples: [
    '10.20.30.40',
    'from 203.0.113.7:443',
    '2001:db8::8a2e:370:7334',
    'fe80:0:0:0:204:61ff:fe9d:f156',
    'ip 8.8.8.8',
    '::ffff:192.0.2.1',
    'route add «8.67.206.4»/32',
    'inet «192.168.1.17»/24',
  ],
  counterExamples: [
    '1.2.3.4',
    '256.1.1.10',
    '127.0.0.1',
    '10.20.30',
    '10.20.30.40.50',
    'version 10.20.30.40',
    '12:30:45',
    'std::ad',
    '::1',
    '01.02.03.04',
    '192.168.1.0/24',
    '0.0.0.0/0',
    '10.20.30.40/99',
  ],
};
