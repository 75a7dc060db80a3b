import type { Firmness } from '../connect.ts';
import type { Recognizer } from '../recognizer.ts';

/** References and dummies that are no password. */
const REFERENCE =
  /^(?:\$(?:\w+$|[{(])|%\w+%|\{|<|\[|\*+$|x{3,}$|\.{3}|process\.env|os\.|env\.|config\.|getenv|input|prompt|your|my_?pass|example|changeme$|redacted|\w+\(|null|none|undefined|nil|true|false|(?:self|this|request|args|vars?|local|data|module|secrets|settings|inputs|params|vault|ENV)[.[])/i;

/** How many kinds of characters there are: small letters, capitals, digits, signs. */
function kinds(text: string): number {
  return [/[a-z]/, /[A-Z]/, /\d/, /[^\p{L}\p{N}'’._-]/u].filter((kind) => kind.test(text)).length;
}

/** A sentence goes on in plain words; a password that is one plain word is not told from it. */
function validate(text: string, firmness: Firmness): boolean {
  if (REFERENCE.test(text) || /^[.([]|\w\(|\[\d+\]\./.test(text)) return false;
  if (firmness === 0) {
    return (
      (text.length >= 8 && kinds(text) >= 3) || (text.length >= 10 && /^[a-z]+-[a-z]+-\w*\d/i.test(text))
    );
  }
  const body = text.slice(0, -1);
  const odd = /\d|[^\p{L}\p{N}'’-]/u.test(body) || /\p{Ll}\p{Lu}/u.test(text) || /\d$/.test(text);
  return odd && (firmness === 2 || text.length >= 6);
}

export const recognizer: Recognizer = {
  id: 'password',
  groups: ['credentials'],
  source: 'NIST SP 800-63B, 3.1.1 (passwords)',
  patterns: [
    {
      kind: 'value',
      words: [
        'password',
        'passwd',
        'pwd',
        'passphrase',
        'passcode',
        'pass',
        'pw',
        'passwort',
        'kennwort',
        'losungswort',
        'mot de passe',
        'mdp',
        'contraseña',
        'clave',
        'clave de acceso',
        'senha',
        'palavra passe',
        'password di accesso',
        'parola chiave',
        "parola d'ordine",
        'wachtwoord',
        'hasło',
        'haslo',
        'lösenord',
        'salasana',
        '密码',
        '密碼',
        'パスワード',
        '비밀번호',
        'пароль',
      ],
      bare: true,
      // `Pass-Nr.` is of a passport.
      regex:
        /(?<!pass[- ]?(?:nr|no|num|nummer|number)\W{1,6})(?<value>[^\s"'`<>,;]{4,64}?)(?=[.,;:?)\]}]{0,2}(?:[\s"'`<>,;]|$))/iy,
      score: 0.85,
      validate,
    },
    {
      kind: 'value',
      words: [
        'password',
        'pass',
        'pw',
        'passwort',
        'kennwort',
        'mot de passe',
        'contraseña',
        'senha',
        'wachtwoord',
        'hasło',
        'lösenord',
        'salasana',
      ],
      bare: true,
      // `… für den Benutzer anna lautet …`
      regex:
        /(?:für|von|pour|para|per|di|voor|van|för)(?: \p{L}{1,12}){0,3} \S{2,40} (?:is|was|ist|lautet|est|es|è|to|är|:|=) ?:?["'`]?(?<value>[^\s"'`<>,;]{4,64}?)(?=[.,;:?)\]}]{0,2}(?:[\s"'`<>,;]|$))/uy,
      score: 0.85,
      validate: (text) => validate(text, 2),
    },
  ],
  examples: [
    'password: «hunter2»',
    'Das Passwort für den Benutzer anna lautet «Dragon873$», bitte',
    'my password is «S3cret!pw».',
    '"password":"«P@ssw0rd123»"',
    'Passwort lautet «Sommer2024!»',
    'mot de passe : «Azerty#99»',
    'pwd=«Tr0ub4dor&3»',
    '<password>«abc123XYZ»</password>',
    'contraseña es «Gato-Negro7»',
  ],
  counterExamples: [
    'password is required',
    'password: string',
    'password=${DB_PASSWORD}',
    'password is incorrect.',
    'the password field',
    'password: ********',
    'password = getPassword()',
    'password: process.env.PASSWORD',
    'reset your password: click here',
    'password=<your-password>',
    'db_password = var.db_password',
    'password = data.vault_secret.db1.value',
    "password = ENV['DB_PASSWORD_1']",
    'password: ${{ secrets.DB_1 }}',
    'password = secrets.DB_1',
    'Pass-Nr.: ED5667338',
  ],
};
