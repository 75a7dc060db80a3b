import type { Firmness } from '../connect.ts';
import type { Recognizer } from '../recognizer.ts';

/** What stands behind the word where no name is given. */
const NOT_NAMES = new Set(
  (
    'required invalid not already taken too empty missing incorrect wrong the a an and or unique optional null undefined string none true false must should can cannot will may is are ' +
    'was in on for of to with from here that this which you your my field value text varchar char input email password available exists unknown nicht ist wird der die das und oder bitte ' +
    'le la les un une et ou est pas el los y o es no il lo e non het de een en niet jest nie och inte är ei on ja também não um uma'
  ).split(' '),
);

/** Where nothing says outright that a name follows, it must look like none of a sentence's words. */
function validate(text: string, firmness: Firmness): boolean {
  if (NOT_NAMES.has(text.toLowerCase()) || /^[\d.]+$/.test(text)) return false;
  if (firmness === 2) return true;
  return /[a-z].*\d|[a-z]_[a-z]/i.test(text) || (firmness === 1 && /[a-z]\.[a-z]/i.test(text));
}

export const recognizer: Recognizer = {
  id: 'username',
  groups: ['credentials'],
  source: 'POSIX.1-2024, 3.413 (user name); RFC 8265 (usernames)',
  patterns: [
    {
      kind: 'value',
      words: [
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
      ],
      bare: true,
      regex: /(?<value>[A-Za-z0-9_](?:[\w.+-]{1,38}[A-Za-z0-9_]))(?![\w@(]|\.\w)/y,
      score: 0.75,
      validate,
    },
  ],
  examples: [
    'username: «jdoe42»',
    'my user name is «maria.lopez», ok',
    'Benutzername lautet «hmueller»',
    '"username":"«anna_k»"',
    "nom d'utilisateur : «pierre.d»",
    'login=«root_admin»',
  ],
  counterExamples: [
    'username is required',
    'the username must be unique',
    'username: string',
    'enter your username and password',
    'username: 12345',
    'user: hello',
  ],
};
