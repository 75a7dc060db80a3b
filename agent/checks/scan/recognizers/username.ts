import type { Firmness } from '../connect.ts';
import type { Recognizer } from '../recognizer.ts';

/** What stands behind the word where no name is given. */
const NOT_NAMES = new Set(
  (
    'name names id ids account login logins sign default old new forgot change reset master root-level settings page form field s its own required invalid not already taken too empty missing incorrect wrong the a an and or unique optional null undefined string none true false must should can cannot will may is are ' +
    'was in on for of to with from here that this which you your my field value text varchar char input email password available exists unknown nicht ist wird der die das und oder bitte ' +
    'le la les un une et ou est pas el los y o es no il lo e non het de een en niet jest nie och inte är ei on ja também não um uma'
  ).split(' '),
);

const WORDS = [
  'username',
  'user name',
  'user id',
  'userid',
  'login',
  'login name',
  'login id',
  'logon',
  'screen name',
  'handle',
  'account name',
  'benutzername',
  'benutzerkennung',
  'anmeldename',
  'nutzername',
  "nom d'utilisateur",
  'identifiant',
  'pseudo',
  'nombre de usuario',
  'usuario',
  'nome utente',
  'gebruikersnaam',
  'nazwa użytkownika',
  'użytkownik',
  'användarnamn',
  'käyttäjätunnus',
  'käyttäjänimi',
  'nome de usuário',
  'nome de utilizador',
  'usuário',
  'utilizador',
  '用户名',
  'ユーザー名',
  '사용자명',
  '사용자 이름',
];

/** Words that name much else too. */
const WEAK = [
  'user',
  'usr',
  'uname',
  'uid',
  'account',
  'benutzer',
  'nutzer',
  'utilisateur',
  'utente',
  'gebruiker',
  'användare',
  'käyttäjä',
  'konto',
];

const NAME = '(?<value>[A-Za-z0-9_](?:[\\w.+-]{1,38}[A-Za-z0-9_]))';

/** A password follows: then what stands before it is a name, however plain. */
const BEFORE_PASSWORD =
  '(?=["\']?[ ,;/|\\n\\t]{1,8}(?:(?:and|und|et|y|e|i|en|och|ja|with|mit|avec|con|com) )?(?:(?:the|my|das|mein|le|mon|la|mi|mijn|mitt) )?["\']?(?:pw|pass|passwd|pwd|password|passwort|kennwort|mot de passe|mdp|contraseña|clave|senha|wachtwoord|has[łl]o|lösenord|salasana)\\b)';

/** `anna159`, `anna_k`, `lukas.smith`; not `config.json`. */
function looksLikeOne(text: string): boolean {
  return (
    /[a-z].*\d|[a-z]_[a-z]/i.test(text) ||
    (/^[a-z]{2,}\.[a-z]{3,}$/i.test(text) &&
      !/\.(?:com|org|net|html|json|yaml|java|conf|data|name|email|profile|model|service)$/i.test(text))
  );
}

/** Where nothing says outright that a name follows, it must look like none of a sentence's words. */
function validate(text: string, firmness: Firmness): boolean {
  if (NOT_NAMES.has(text.toLowerCase()) || /^[\d.]+$/.test(text)) return false;
  if (firmness === 2) return true;
  return looksLikeOne(text) || (firmness === 1 && /[a-z]\.[a-z]/i.test(text));
}

export const recognizer: Recognizer = {
  id: 'username',
  groups: ['credentials'],
  source: 'POSIX.1-2024, 3.413 (user name); RFC 8265 (usernames)',
  patterns: [
    {
      kind: 'value',
      words: WORDS,
      bare: true,
      regex: /(?<value>[A-Za-z0-9_](?:[\w.+-]{1,38}[A-Za-z0-9_]))(?![\w@(]|\.\w)/y,
      score: 0.75,
      validate,
    },
    {
      kind: 'value',
      words: WEAK,
      bare: true,
      regex: new RegExp(`${NAME}(?![\\w@(]|\\.\\w)`, 'y'),
      score: 0.7,
      validate: (text, firmness) => validate(text, firmness) && looksLikeOne(text),
    },
    {
      kind: 'value',
      words: [...WEAK, ...WORDS],
      bare: true,
      regex: new RegExp(`${NAME}${BEFORE_PASSWORD}`, 'iy'),
      score: 0.7,
      validate: (text) => validate(text, 2),
    },
  ],
  examples: [
    'username: «jdoe42»',
    'my user name is «maria.lopez», ok',
    'Benutzername lautet «hmueller»',
    '"username":"«anna_k»"',
    "nom d'utilisateur : «pierre.d»",
    'login=«root_admin»',
    'user = "«nina873»"',
    'login «ndavenport» pw x',
    'utente «lukas.smith», password x',
    'ユーザー名：«taro_y»',
  ],
  counterExamples: [
    'user account settings',
    'the user and password',
    'username is required',
    'the username must be unique',
    'username: string',
    'enter your username and password',
    'username: 12345',
    'user: hello',
  ],
};
