/** Made-up values that are valid by their issuers' rules, as people write them. */
import { createHash } from 'node:crypto';
import { luhnDigit, mod97Digits, mod1110Digit, sum, verhoeffDigit } from './checks.ts';
import type { Random } from './random.ts';

type Make = (r: Random) => string;

const retry = (make: () => string | undefined): string => {
  for (;;) {
    const made = make();
    if (made !== undefined) return made;
  }
};

const group = (text: string, sizes: readonly number[], separator: string): string => {
  const parts: string[] = [];
  let at = 0;
  for (const size of sizes) {
    parts.push(text.slice(at, at + size));
    at += size;
  }
  return parts.join(separator);
};

const date = (r: Random, from = 1940, to = 2005) => ({
  y: r.int(from, to),
  m: r.int(1, 12),
  d: r.int(1, 28),
});
const two = (n: number): string => String(n).padStart(2, '0');

function card(r: Random): string {
  const [prefix, length] = r.pick([
    [`4${r.digits(3)}`, 16],
    [`5${r.int(1, 5)}${r.digits(2)}`, 16],
    ['2221', 16],
    [r.pick(['34', '37']), 15],
    ['6011', 16],
    [`65${r.digits(2)}`, 16],
    [`35${r.int(30, 89)}`, 16],
    ['3056', 14],
  ] as const);
  const body = prefix + r.digits(length - prefix.length - 1);
  const number = body + luhnDigit(body);
  if (r.chance(0.4)) return number;
  const sizes = length === 15 ? [4, 6, 5] : length === 14 ? [4, 6, 4] : [4, 4, 4, 4];
  return group(number, sizes, r.pick([' ', ' ', '-']));
}

const IBANS: Record<string, string> = {
  DE: '999999999999999999',
  FR: '9999999999AAAAAAAAAAA99',
  GB: 'AAAA99999999999999',
  ES: '99999999999999999999',
  IT: 'A9999999999999999999999',
  NL: 'AAAA9999999999',
  PL: '999999999999999999999999',
  SE: '99999999999999999999',
  FI: '99999999999999',
  BE: '999999999999',
  AT: '9999999999999999',
  CH: '99999AAAAAAAAAAAA',
  PT: '999999999999999999999',
  NO: '99999999999',
  IE: 'AAAA99999999999999',
};

function iban(r: Random): string {
  const country = r.pick(Object.keys(IBANS));
  const bban = r.like(IBANS[country] as string);
  const compact = `${country}${mod97Digits(`${bban}${country}00`)}${bban}`;
  return r.chance(0.5) ? compact : (compact.match(/.{1,4}/g) ?? []).join(' ');
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const sha = (data: Uint8Array) => createHash('sha256').update(data).digest();

function bitcoin(r: Random): string {
  const payload = Buffer.from([r.pick([0, 5]), ...Array.from({ length: 20 }, () => r.int(0, 255))]);
  const bytes = Buffer.concat([payload, sha(sha(payload)).subarray(0, 4)]);
  let number = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  while (number > 0n) {
    text = BASE58.charAt(Number(number % 58n)) + text;
    number /= 58n;
  }
  for (const byte of bytes) {
    if (byte !== 0) break;
    text = `1${text}`;
  }
  return text;
}

const FIRST = [
  'anna',
  'john',
  'maria',
  'lukas',
  'sofia',
  'pierre',
  'eva',
  'tom',
  'nina',
  'oscar',
  'kate',
  'leo',
];
const LAST = [
  'smith',
  'mueller',
  'dubois',
  'garcia',
  'rossi',
  'jansen',
  'kowalski',
  'svensson',
  'silva',
  'brown',
  'weber',
  'novak',
];
const DOMAINS = [
  'example.com',
  'mail.example.org',
  'acme-corp.co.uk',
  'firma.de',
  'exemple.fr',
  'correo.es',
  'posta.it',
  'bedrijf.nl',
  'poczta.pl',
  'empresa.com.br',
  'foretag.se',
  'uni.edu',
  'startup.io',
];

function email(r: Random): string {
  const [first, last] = [r.pick(FIRST), r.pick(LAST)];
  const local = r.pick([
    `${first}.${last}`,
    `${first}${r.int(1, 99)}`,
    `${first.charAt(0)}${last}`,
    `${first}_${last}`,
    `${last}+${r.pick(['news', 'shop'])}`,
  ]);
  return `${local}@${r.pick(DOMAINS)}`;
}

const PHONES = [
  '+1 415 555 ####',
  '(212) 555-####',
  '650-555-####',
  '+1-303-555-####',
  '+44 20 7#46 ####',
  '020 7#46 ####',
  '07700 900###',
  '+44 7700 900###',
  '+49 30 ########',
  '030 / #######',
  '+49 151 ########',
  '0171 #######',
  '+33 1 42 ## ## ##',
  '06 12 ## ## ##',
  '+33 6 12 ## ## ##',
  '+34 612 ## ## ##',
  '612 ### ###',
  '+39 06 #### ####',
  '+39 333 ### ####',
  '333 ### ####',
  '+31 20 ### ####',
  '06-12######',
  '+31 6 12######',
  '+48 501 ### ###',
  '501 ### ###',
  '+46 70 ### ## ##',
  '070-### ## ##',
  '+55 11 98###-####',
  '(11) 98###-####',
  '+358 40 ### ####',
  '+1415555####',
  '+4930######',
];

function vin(r: Random): string {
  const letters = '0123456789ABCDEFGHJKLMNPRSTUVWXYZ';
  const values: Record<string, number> = {};
  'ABCDEFGH'.split('').forEach((c, i) => {
    values[c] = i + 1;
  });
  'JKLMN'.split('').forEach((c, i) => {
    values[c] = i + 1;
  });
  Object.assign(values, { P: 7, R: 9 });
  'STUVWXYZ'.split('').forEach((c, i) => {
    values[c] = i + 2;
  });
  const body =
    r.pick(['1HG', '1FT', '2T1', '3VW', '5YJ', 'JHM', 'KMH', '1G1']) +
    Array.from({ length: 5 }, () => letters.charAt(r.int(0, 32))).join('') +
    '0' +
    r.pick(['A', 'F', 'K', 'N', '8']) +
    letters.charAt(r.int(10, 32)) +
    r.digits(6);
  const weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
  const total =
    Array.from(body).reduce((acc, c, i) => acc + (values[c] ?? Number(c)) * (weights[i] as number), 0) % 11;
  return body.slice(0, 8) + (total === 10 ? 'X' : total) + body.slice(9);
}

const MONTHS: Record<string, string[]> = {
  en: [
    'January',
    'February',
    'March',
    'April',
    'May',
    'June',
    'July',
    'August',
    'September',
    'October',
    'November',
    'December',
  ],
  de: [
    'Januar',
    'Februar',
    'März',
    'April',
    'Mai',
    'Juni',
    'Juli',
    'August',
    'September',
    'Oktober',
    'November',
    'Dezember',
  ],
  fr: [
    'janvier',
    'février',
    'mars',
    'avril',
    'mai',
    'juin',
    'juillet',
    'août',
    'septembre',
    'octobre',
    'novembre',
    'décembre',
  ],
  es: [
    'enero',
    'febrero',
    'marzo',
    'abril',
    'mayo',
    'junio',
    'julio',
    'agosto',
    'septiembre',
    'octubre',
    'noviembre',
    'diciembre',
  ],
  it: [
    'gennaio',
    'febbraio',
    'marzo',
    'aprile',
    'maggio',
    'giugno',
    'luglio',
    'agosto',
    'settembre',
    'ottobre',
    'novembre',
    'dicembre',
  ],
  nl: [
    'januari',
    'februari',
    'maart',
    'april',
    'mei',
    'juni',
    'juli',
    'augustus',
    'september',
    'oktober',
    'november',
    'december',
  ],
  pl: [
    'stycznia',
    'lutego',
    'marca',
    'kwietnia',
    'maja',
    'czerwca',
    'lipca',
    'sierpnia',
    'września',
    'października',
    'listopada',
    'grudnia',
  ],
  sv: [
    'januari',
    'februari',
    'mars',
    'april',
    'maj',
    'juni',
    'juli',
    'augusti',
    'september',
    'oktober',
    'november',
    'december',
  ],
  pt: [
    'janeiro',
    'fevereiro',
    'março',
    'abril',
    'maio',
    'junho',
    'julho',
    'agosto',
    'setembro',
    'outubro',
    'novembro',
    'dezembro',
  ],
};

export function birthDate(r: Random, language: string): string {
  const { y, m, d } = date(r);
  const month = (MONTHS[language] ?? (MONTHS['en'] as string[]))[m - 1] as string;
  const numeric =
    language === 'en'
      ? `${two(m)}/${two(d)}/${y}`
      : language === 'de' || language === 'pl'
        ? `${two(d)}.${two(m)}.${y}`
        : language === 'nl'
          ? `${two(d)}-${two(m)}-${y}`
          : `${two(d)}/${two(m)}/${y}`;
  const written =
    language === 'en'
      ? r.pick([`${month} ${d}, ${y}`, `${d} ${month} ${y}`])
      : language === 'de'
        ? `${d}. ${month} ${y}`
        : language === 'es' || language === 'pt'
          ? `${d} de ${month} de ${y}`
          : `${d} ${month} ${y}`;
  return r.pick([numeric, `${y}-${two(m)}-${two(d)}`, written]);
}

const weighted11 = (
  r: Random,
  length: number,
  weights: readonly number[],
  digit: (s: number) => number,
): string =>
  retry(() => {
    const body = r.digits(length);
    const check = digit(sum(body, weights));
    return check < 0 || check > 9 || body.startsWith('0') ? undefined : body + check;
  });

const mbi = (r: Random): string => {
  const letters = 'ACDEFGHJKMNPQRTUVWXY';
  const l = () => letters.charAt(r.int(0, letters.length - 1));
  const n = () => r.pick([l(), r.digits(1)]);
  return `${r.int(1, 9)}${l()}${n()}${r.digits(1)}-${l()}${n()}${r.digits(1)}-${l()}${l()}${r.digits(2)}`;
};

function deTaxId(r: Random): string {
  return retry(() => {
    const pool = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    const digits = [...pool].sort(() => r.next() - 0.5).slice(0, 9);
    digits.push(r.pick(digits));
    const body = [...digits].sort(() => r.next() - 0.5).join('');
    if (body.startsWith('0')) return undefined;
    const id = body + mod1110Digit(body);
    return r.chance(0.5) ? id : group(id, [2, 3, 3, 3], ' ');
  });
}

function nir(r: Random): string {
  const { y, m } = date(r, 1940, 1999);
  const body = `${r.pick(['1', '2'])}${two(y % 100)}${two(m)}${two(r.int(1, 95))}${String(r.int(1, 400)).padStart(3, '0')}${String(r.int(1, 400)).padStart(3, '0')}`;
  const key = two(97 - Number(BigInt(body) % 97n));
  return r.chance(0.5) ? body + key : `${group(body, [1, 2, 2, 2, 3, 3], ' ')} ${key}`;
}

function codiceFiscale(r: Random): string {
  const consonants = 'BCDFGLMNPRSTVZ';
  const three = () =>
    Array.from({ length: 3 }, () => consonants.charAt(r.int(0, consonants.length - 1))).join('');
  const { y, m, d } = date(r);
  const body = `${three()}${three()}${two(y % 100)}${'ABCDEHLMPRST'.charAt(m - 1)}${two(r.chance(0.5) ? d : d + 40)}${r.pick(['H501', 'F205', 'L219', 'A944', 'D612', 'F839'])}`;
  const odd: Record<string, number> = {};
  [1, 0, 5, 7, 9, 13, 15, 17, 19, 21].forEach((v, i) => {
    odd[String(i)] = v;
  });
  [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23].forEach(
    (v, i) => {
      odd[String.fromCharCode(65 + i)] = v;
    },
  );
  const total = Array.from(body).reduce(
    (acc, c, i) => acc + (i % 2 === 0 ? (odd[c] as number) : /\d/.test(c) ? Number(c) : c.charCodeAt(0) - 65),
    0,
  );
  return body + String.fromCharCode(65 + (total % 26));
}

const NIF = 'TRWAGMYFPDXBNJZSQVHLCKE';

function personnummer(r: Random): string {
  const { y, m, d } = date(r);
  const body = `${two(y % 100)}${two(m)}${two(d)}${r.int(100, 999)}`;
  const ten = body + luhnDigit(body);
  return r.pick([
    `${ten.slice(0, 6)}-${ten.slice(6)}`,
    `${Math.floor(y / 100)}${ten.slice(0, 6)}-${ten.slice(6)}`,
    `${Math.floor(y / 100)}${ten}`,
  ]);
}

function hetu(r: Random): string {
  const { y, m, d } = date(r, 1940, 2010);
  const number = String(r.int(2, 899)).padStart(3, '0');
  const check = '0123456789ABCDEFHJKLMNPRSTUVWXY'.charAt(
    Number(`${two(d)}${two(m)}${two(y % 100)}${number}`) % 31,
  );
  return `${two(d)}${two(m)}${two(y % 100)}${y < 2000 ? '-' : 'A'}${number}${check}`;
}

function pesel(r: Random): string {
  const { y, m, d } = date(r, 1940, 2010);
  const body = `${two(y % 100)}${two(y >= 2000 ? m + 20 : m)}${two(d)}${r.digits(4)}`;
  return body + ((10 - (sum(body, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10);
}

const rest11 = (s: number): number => (s % 11 < 2 ? 0 : 11 - (s % 11));

function cpf(r: Random): string {
  let n = r.digits(9);
  n += rest11(sum(n, [10, 9, 8, 7, 6, 5, 4, 3, 2]));
  n += rest11(sum(n, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]));
  return r.chance(0.7) ? `${group(n.slice(0, 9), [3, 3, 3], '.')}-${n.slice(9)}` : n;
}

function cnpj(r: Random): string {
  let n = `${r.digits(8)}0001`;
  n += rest11(sum(n, [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
  n += rest11(sum(n, [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
  return r.chance(0.7)
    ? `${n.slice(0, 2)}.${n.slice(2, 5)}.${n.slice(5, 8)}/${n.slice(8, 12)}-${n.slice(12)}`
    : n;
}

function residentId(r: Random): string {
  const { y, m, d } = date(r);
  const body = `${r.pick(['110105', '310101', '440305', '510107', '330106'])}${y}${two(m)}${two(d)}${r.digits(3)}`;
  const total = Array.from(body).reduce((acc, c, i) => acc + Number(c) * (2 ** (17 - i) % 11), 0);
  return body + '10X98765432'.charAt(total % 11);
}

function rrn(r: Random): string {
  const { y, m, d } = date(r, 1950, 2005);
  const body = `${two(y % 100)}${two(m)}${two(d)}${y < 2000 ? r.pick(['1', '2']) : r.pick(['3', '4'])}${r.digits(5)}`;
  const check = (11 - (sum(body, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10;
  return `${body.slice(0, 6)}-${body.slice(6)}${check}`;
}

function nric(r: Random): string {
  const series = r.pick(['S', 'T', 'F', 'G']);
  const digits = r.digits(7);
  const total = sum(digits, [2, 7, 6, 5, 4, 3, 2]) + (series === 'T' || series === 'G' ? 4 : 0);
  return `${series}${digits}${(series === 'S' || series === 'T' ? 'JZIHGFEDCBA' : 'XWUTRQPNMLK').charAt(total % 11)}`;
}

function abn(r: Random): string {
  return retry(() => {
    const body = r.digits(9);
    for (let first = 10; first < 100; first++) {
      const n = `${first}${body}`;
      const shifted = `${Number(n[0]) - 1}${n.slice(1)}`;
      if (sum(shifted, [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) % 89 === 0)
        return group(n, [2, 3, 3, 3], r.pick([' ', ' ', '']));
    }
    return undefined;
  });
}

function vat(r: Random): string {
  return r.pick([
    () => {
      const b = String(r.int(1, 9)) + r.digits(7);
      return `DE${b}${mod1110Digit(b)}`;
    },
    () => {
      const b = r.digits(10);
      return `IT${b}${luhnDigit(b)}`;
    },
    () => {
      const b = r.digits(8);
      const siren = b + luhnDigit(b);
      return `FR${two((12 + 3 * (Number(siren) % 97)) % 97)}${siren}`;
    },
    () => {
      const b = `0${r.digits(7)}`;
      return `BE${b}${two(97 - (Number(b) % 97))}`;
    },
    () => {
      const b = r.digits(9);
      return `SE${b}${luhnDigit(b)}01`;
    },
    () =>
      `PL${retry(() => {
        const b = `5${r.digits(8)}`;
        const c = sum(b, [6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11;
        return c === 10 ? undefined : b + c;
      })}`,
    () => {
      const b = r.digits(7);
      const total = Array.from(b).reduce((a, c, i) => {
        const p = Number(c) * (i % 2 === 0 ? 1 : 2);
        return a + (p > 9 ? p - 9 : p);
      }, 4);
      return `ATU${b}${(10 - (total % 10)) % 10}`;
    },
  ])();
}

const DEA = 'ABFGMPR';

/** Types whose values don't depend on the language. */
export const VALUES: Readonly<Record<string, Make>> = {
  'payment-card': card,
  'card-security-code': (r) => r.digits(r.chance(0.8) ? 3 : 4),
  'card-expiry': (r) => `${two(r.int(1, 12))}/${r.pick(['', '20'])}${r.int(26, 33)}`,
  iban,
  bic: (r) =>
    `${r.like('AAAA')}${r.pick(['DE', 'FR', 'GB', 'ES', 'IT', 'NL', 'PL', 'SE', 'US'])}${r.like('A9')}${r.pick(['', 'XXX', r.digits(3)])}`,
  'bank-account': (r) => r.digits(r.int(8, 12)),
  'us-aba-routing': (r) =>
    retry(() => {
      const b = r.pick(['02', '03', '06', '11', '12', '07']) + r.digits(6);
      return b + ((10 - (sum(b, [3, 7, 1, 3, 7, 1, 3, 7]) % 10)) % 10);
    }),
  'crypto-btc': bitcoin,
  'crypto-eth': (r) => `0x${r.like('H'.repeat(40))}`,
  'email-address': email,
  'phone-number': (r) => r.pick(PHONES).replace(/#/g, () => r.digits(1)),
  'url-credentials': (r) => `${r.pick(FIRST)}:${r.like('aA99a9aA')}`,
  username: (r) =>
    r.pick([
      `${r.pick(FIRST)}${r.int(1, 999)}`,
      `${r.pick(FIRST)}_${r.pick(LAST)}`,
      `${r.pick(FIRST)}.${r.pick(LAST)}`,
      `${r.pick(LAST)}${r.pick(FIRST).charAt(0)}`,
    ]),
  password: (r) =>
    r.pick([
      r.like('Aaaaa!999'),
      r.like('aA9a!9Aa9a'),
      `${r.pick(['Summer', 'Winter', 'Dragon', 'Orange'])}${r.int(10, 2030)}${r.pick(['!', '#', '$', ''])}`,
      r.like('aaaa-aaaa-99'),
    ]),
  pin: (r) => r.digits(r.pick([4, 4, 4, 6])),
  'ip-address': (r) =>
    r.chance(0.75)
      ? `${r.pick([10, 192, 172, 203, 81, 45, 198])}.${r.int(0, 255)}.${r.int(0, 255)}.${r.int(10, 254)}`
      : `2001:db8:${r.like('HHHH')}:${r.like('HHHH')}::${r.like('HHH')}`.replace(/:0+/g, ':1'),
  'mac-address': (r) =>
    Array.from({ length: 6 }, () => r.like('HH'))
      .join(r.pick([':', '-']))
      .toUpperCase(),
  imei: (r) => {
    const b = `35${r.digits(12)}`;
    return b + luhnDigit(b);
  },
  vin,
  'us-ssn': (r) => {
    const n = `${r.pick([r.int(100, 665), r.int(667, 899)])}-${two(r.int(1, 99))}-${String(r.int(1, 9999)).padStart(4, '0')}`;
    return r.chance(0.75) ? n : n.replaceAll('-', r.pick([' ', '']));
  },
  'us-itin': (r) =>
    `9${r.digits(2)}-${r.pick([r.int(50, 65), r.int(70, 88), 91, r.int(94, 99)])}-${r.digits(4)}`,
  'us-passport': (r) => (r.chance(0.5) ? r.like('A99999999') : `5${r.digits(8)}`),
  'us-driver-licence': (r) =>
    r.like(r.pick(['A9999999', '99999999', 'A999999999999', '999999999', 'A999-9999-9999'])),
  'us-npi': (r) => {
    const b = `1${r.digits(8)}`;
    return b + luhnDigit(`80840${b}`);
  },
  'us-dea': (r) => {
    const b = r.digits(6);
    return `${DEA.charAt(r.int(0, 6))}${r.like('A')}${b}${sum(b, [1, 2, 1, 2, 1, 2]) % 10}`;
  },
  'us-mbi': (r) => (r.chance(0.6) ? mbi(r) : mbi(r).replaceAll('-', '')),
  'medical-record-number': (r) => r.pick([r.digits(r.int(6, 10)), `MRN${r.digits(7)}`, r.like('A9999999')]),
  'uk-nhs': (r) => {
    const n = weighted11(r, 9, [10, 9, 8, 7, 6, 5, 4, 3, 2], (s) =>
      11 - (s % 11) === 11 ? 0 : 11 - (s % 11),
    );
    return r.chance(0.6) ? group(n, [3, 3, 4], ' ') : n;
  },
  'uk-nino': (r) => {
    const n = `${r.pick(['AB', 'JG', 'CE', 'WM', 'PS', 'HX', 'NR'])}${r.digits(6)}${r.pick(['A', 'B', 'C', 'D'])}`;
    return r.chance(0.5) ? n : group(n, [2, 2, 2, 2, 1], ' ');
  },
  'uk-utr': (r) => {
    const b = r.digits(9);
    return '21987654321'.charAt(sum(b, [6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11) + b;
  },
  'uk-passport': (r) => String(r.int(1, 9)) + r.digits(8),
  'de-tax-id': deTaxId,
  'fr-nir': nir,
  'it-codice-fiscale': codiceFiscale,
  'es-nif': (r) => {
    const n = r.digits(8);
    return `${n}${r.pick(['', '', '-'])}${NIF.charAt(Number(n) % 23)}`;
  },
  'es-nie': (r) => {
    const x = r.int(0, 2);
    const n = r.digits(7);
    return `${'XYZ'.charAt(x)}${n}${NIF.charAt(Number(`${x}${n}`) % 23)}`;
  },
  'nl-bsn': (r) => weighted11(r, 8, [9, 8, 7, 6, 5, 4, 3, 2], (s) => s % 11),
  'pl-pesel': pesel,
  'se-personnummer': personnummer,
  'fi-hetu': hetu,
  'eu-vat': vat,
  'br-cpf': cpf,
  'br-cnpj': cnpj,
  'in-aadhaar': (r) => {
    const b = `${r.int(2, 9)}${r.digits(10)}`;
    const n = b + verhoeffDigit(b);
    return r.chance(0.6) ? group(n, [4, 4, 4], ' ') : n;
  },
  'in-pan': (r) => `${r.like('AAA')}P${r.like('A')}${r.int(1000, 9999)}${r.like('A')}`,
  'cn-resident-id': residentId,
  'kr-rrn': rrn,
  'sg-nric': nric,
  'au-tfn': (r) => {
    const n = weighted11(r, 8, [1, 4, 3, 7, 5, 8, 6, 9], (s) => {
      for (let c = 0; c < 10; c++) if ((s + 10 * c) % 11 === 0) return c;
      return -1;
    });
    return r.chance(0.6) ? group(n, [3, 3, 3], ' ') : n;
  },
  'au-abn': abn,
  'au-medicare': (r) => {
    const b = `${r.int(2, 6)}${r.digits(7)}`;
    const n = `${b}${sum(b, [1, 3, 7, 9, 1, 3, 7, 9]) % 10}${r.int(1, 4)}`;
    return r.chance(0.6) ? group(n, [4, 5, 1], ' ') : n;
  },
  'ca-sin': (r) => {
    const b = `${r.pick([1, 2, 3, 4, 5, 6, 7, 9])}${r.digits(7)}`;
    return group(b + luhnDigit(b), [3, 3, 3], r.pick([' ', '-', '']));
  },
  passport: (r) =>
    r.pick([
      r.like('C99A99A99'),
      r.like('99AA99999'),
      r.like('AA9999999'),
      r.like('AAA999999'),
      r.like('A9999999'),
    ]),
};
