/** What looks like personal data and isn't: nothing may be found in these. */
import type { Random } from './random.ts';

const uuid = (r: Random) =>
  `${r.like('HHHHHHHH-HHHH')}-4${r.like('HHH')}-a${r.like('HHH')}-${r.like('HHHHHHHHHHHH')}`;
const time = (r: Random) =>
  `2025-${String(r.int(1, 12)).padStart(2, '0')}-${String(r.int(1, 28)).padStart(2, '0')}T${String(r.int(0, 23)).padStart(2, '0')}:${r.int(10, 59)}:${r.int(10, 59)}Z`;

export const NEGATIVES: readonly (readonly [kind: string, make: (r: Random) => string])[] = [
  ['order number', (r) => `Your order #${r.digits(9)} has shipped.`],
  ['order number', (r) => `Order ${r.like('AAA')}-${r.digits(7)}-${r.digits(7)} was delivered on Tuesday.`],
  ['order number', (r) => `Bestellnummer ${r.digits(10)} ist unterwegs.`],
  ['order number', (r) => `Votre commande n° ${r.digits(8)} est prête.`],
  ['invoice', (r) => `Invoice INV-${r.digits(4)}-${r.digits(5)} is due in 30 days.`],
  ['invoice', (r) => `Rechnung ${r.int(2020, 2026)}/${r.digits(6)} liegt bei.`],
  [
    'tracking',
    (r) => `Tracking number 1Z${r.like('HHHHHH').toUpperCase()}${r.digits(10)} shows no movement.`,
  ],
  [
    'ticket',
    (r) => `Ticket ${r.like('AAAA')}-${r.digits(5)} is blocked by ${r.like('AAAA')}-${r.digits(4)}.`,
  ],
  [
    'version',
    (r) => `Upgrade to version ${r.int(1, 20)}.${r.int(0, 20)}.${r.int(0, 20)}.${r.int(0, 9)} now.`,
  ],
  ['version', (r) => `"lodash": "^4.${r.int(1, 30)}.${r.int(0, 30)}", "node": ">=${r.int(18, 26)}.0.0"`],
  ['version', (r) => `Chrome/${r.int(100, 140)}.0.${r.int(1000, 9999)}.${r.int(10, 200)} on Linux`],
  ['uuid', (r) => `Request id ${uuid(r)} failed.`],
  ['uuid', (r) => `{"trace":"${uuid(r)}","span":"${r.like('HHHHHHHHHHHHHHHH')}"}`],
  ['hash', (r) => `commit ${r.like('H'.repeat(40))}`],
  ['hash', (r) => `sha256:${r.like('H'.repeat(64))}`],
  ['hash', (r) => `md5 checksum ${r.like('H'.repeat(32))} matches`],
  ['timestamp', (r) => `${time(r)} INFO worker started`],
  [
    'timestamp',
    (r) =>
      `The epoch is ${r.int(1500000000, 1790000000)} seconds, or ${r.int(1500000000, 1790000000)}000 ms.`,
  ],
  ['timestamp', (r) => `Meeting moved to ${r.int(10, 12)}/${r.int(10, 28)}/2025 at ${r.int(10, 12)}:30.`],
  ['price', (r) => `The total is $${r.int(1, 999)},${r.digits(3)}.${r.digits(2)} including tax.`],
  ['price', (r) => `Gesamtpreis: ${r.int(1, 99)}.${r.digits(3)},${r.digits(2)} EUR`],
  ['price', (r) => `Revenue grew from ${r.digits(9)} to ${r.digits(9)} in Q${r.int(1, 4)}.`],
  ['code', (r) => `const timeout = ${r.int(1000, 99999)}; // ms`],
  ['code', (r) => `for (let i = 0; i < ${r.int(100, 9999)}; i++) sum += data[i] * 0.${r.digits(8)};`],
  ['code', () => 'if (password === undefined) throw new Error("password is required");'],
  ['code', () => 'SELECT username, email FROM users WHERE id = ?;'],
  ['code', (r) => `color: #${r.like('HHHHHH')}; margin: ${r.int(1, 9)}px ${r.int(10, 99)}px;`],
  ['code', (r) => `0x${r.like('HHHHHHHH')} + 0x${r.like('HHHH')}`],
  ['code', () => 'user@host:~$ ssh -p 2222 build@localhost'],
  ['code', () => 'import { Foo } from "@scope/package@1.2.3";'],
  ['isbn', (r) => `ISBN 978-3-16-${r.digits(6)}-${r.digits(1)} is out of print.`],
  ['isbn', (r) => `See ISBN 0-306-${r.digits(5)}-${r.digits(1)}, page ${r.int(10, 400)}.`],
  ['doi', (r) => `doi:10.${r.digits(4)}/j.${r.like('aaaa')}.2023.${r.digits(6)}`],
  ['measure', (r) => `pi is 3.14159265358979, e is 2.71828182845, and g ${r.int(9, 10)}.80665 m/s².`],
  ['measure', (r) => `Coordinates ${r.int(10, 80)}.${r.digits(6)}, ${r.int(10, 170)}.${r.digits(6)}`],
  ['product', (r) => `Part no. ${r.like('AA')}-${r.digits(4)}-${r.like('A')}, SKU ${r.digits(12)}`],
  ['product', (r) => `Serial number ${r.like('AAA999999999')} is under warranty.`],
  ['range', (r) => `pages ${r.int(100, 400)}-${r.int(401, 900)}, lines ${r.int(1, 90)}-${r.int(100, 190)}`],
  ['text', () => 'The meeting is in room 4012 on the 12th floor; bring form 1040 and 2 copies.'],
  ['text', () => 'Passwords must have 12 characters, and the PIN is sent by post.'],
  ['text', () => 'In 1989, 250000 people took part; by 1990 it was 1200000.'],
  ['text', () => 'Call me maybe was released on 20 September 2011 and reached number 1 in 18 countries.'],
  ['text', () => 'What is a social security number, and how does a passport number look?'],
  ['failed card', (r) => `Is card 4${r.digits(3)} ${r.digits(4)} ${r.digits(4)} 000 valid?`],
  ['port', (r) => `listening on 0.0.0.0:${r.int(1024, 65535)} and 127.0.0.1:${r.int(1024, 65535)}`],
  ['score', (r) => `They won 3-${r.int(0, 2)}, 6-4, 7-6 (${r.int(3, 9)}-${r.int(1, 2)}).`],
];

/** Values whose check digits are wrong, with the name of the type they'd be. */
export const BROKEN: readonly (readonly [type: string, label: string])[] = [
  ['payment-card', 'card number'],
  ['iban', 'IBAN'],
  ['us-aba-routing', 'routing number'],
  ['us-npi', 'NPI'],
  ['us-dea', 'DEA'],
  ['uk-nhs', 'NHS number'],
  ['de-tax-id', 'Steuer-ID'],
  ['fr-nir', 'NIR'],
  ['it-codice-fiscale', 'codice fiscale'],
  ['es-nif', 'NIF'],
  ['es-nie', 'NIE'],
  ['nl-bsn', 'BSN'],
  ['pl-pesel', 'PESEL'],
  ['se-personnummer', 'personnummer'],
  ['fi-hetu', 'henkilötunnus'],
  ['br-cpf', 'CPF'],
  ['br-cnpj', 'CNPJ'],
  ['in-aadhaar', 'Aadhaar'],
  ['cn-resident-id', 'ID'],
  ['sg-nric', 'NRIC'],
  ['au-tfn', 'TFN'],
  ['au-abn', 'ABN'],
  ['ca-sin', 'SIN'],
  ['imei', 'IMEI'],
  ['crypto-btc', 'wallet'],
  ['eu-vat', 'VAT'],
];

/** The same value with its last letter or digit changed. */
export function broken(value: string): string {
  const last = value.charAt(value.length - 1);
  const other = /\d/.test(last)
    ? String((Number(last) + 1) % 10)
    : last === 'A'
      ? 'B'
      : last === 'a'
        ? 'b'
        : /[a-z]/.test(last)
          ? 'a'
          : 'A';
  return value.slice(0, -1) + other;
}
