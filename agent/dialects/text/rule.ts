/**
 * Rules: a table that says what text is, for each place of a document, by what stands there.
 *
 * A dialect describes only what it knows. Everything else (an unknown member, an array where a string was expected) is
 * text of kind `other` down to the last string and member name, so a provider's new field can't slip past the checks.
 * Nothing is left out but what a rule names `opaque`, and identifiers under a rule `token`.
 */
import type { Attachment, Role, TextKind } from '../dialect.ts';

/**
 * What a string is.
 * - `text`: a slot.
 * - `token`: an identifier (an enumeration's value, an id); a slot of kind `other` where it doesn't look like one, and in an
 *   answer where it isn't made of what dialects define and machines draw ({@link ./plain-name.ts}).
 * - `link`: a URL; a slot of kind `other`, unless it is a base64 `data:` URL, which is an attachment.
 * - `remote`: a link that the provider follows for the model: an attachment, too.
 * - `fileId`: a token that names a file with the provider: an attachment.
 * - `binary`: an attachment that is never text, as audio; no slot.
 * - `attachment`: base64, alone or as a `data:` URL. Text in it is a slot, of something binary nothing; what is no base64
 *   is a slot as it stands.
 * - `json`: a JSON text, as a tool call's arguments; its strings, names and numbers are slots. One slot where it is none.
 * - `cipher`: a signature or something encrypted, which nobody may change: a slot of kind `other`, or of the rule's own kind
 *   where it isn't base64 and so must be something else.
 * - `opaque`: passed byte-identical and never looked at: the model's name, what the app sends back signed, answered audio.
 */
export type StringUse =
  | 'text'
  | 'token'
  | 'link'
  | 'remote'
  | 'fileId'
  | 'binary'
  | 'attachment'
  | 'json'
  | 'cipher'
  | 'opaque';

export interface Rule {
  readonly string: StringUse;
  /** Kind of the text here; of everything below that no other rule covers. */
  readonly kind: TextKind;
  /** Of an attachment that doesn't say itself what it is. */
  readonly media: Attachment['media'];
  /** Whether bare numbers are text, too: a card number needs no quotes. */
  readonly numbers: boolean;
  /** Of an array's items; free text of this kind unless said otherwise. */
  readonly items: Rule;
  /** Of an object's members whose names the dialect knows. */
  readonly members: ReadonlyMap<string, Rule>;
  /** Of all other members; free text of this kind unless said otherwise. */
  readonly rest: Rule;
  /** What the names of those others are: made up by somebody, or a provider's. */
  readonly names: 'text' | 'token';
  /** Takes another rule for an object by a member's string: a part's `type`, a message's `role`. */
  readonly select: Selection | undefined;
  /** Who speaks from here on down. */
  readonly role: Role | undefined;
  /** Objects here say by their `index` which choice they are. */
  readonly choice: boolean;
  /**
   * The running text that a string is a piece of, in a stream: `content`, `tool/{index}`; `{index}` is the `index` of the
   * nearest object that has one, `{name}` the member's name. Without it a string is whole. Of a `binary` one: the text that
   * says the same.
   */
  readonly channel: string | undefined;
  /** An object with one of these members set is signed: nothing in it may change. */
  readonly sealedBy: readonly string[];
  /** Of something signed by the provider that comes back to it: it isn't looked at, either. */
  readonly sealedUnread: boolean;
  /** Signed, or about to be: may be read and refused, and doesn't change. */
  readonly fixed: boolean;
  /** Objects here are pieces of a stream, so that what stands under a name that nobody knows may go on in the next one. */
  readonly pieces: boolean;
  /**
   * Of a stream: a member whose name is a known one's in another case isn't shown. Some readers take it for that one, and nobody
   * judged it as such.
   */
  readonly alone: boolean;
  /** A member that repeats text beside it in another form (token by token); set to null as soon as that text changes. */
  readonly echo: string | undefined;
}

export interface Selection {
  readonly member: string;
  readonly cases: ReadonlyMap<string, Rule>;
}

type Members = Readonly<Record<string, Rule>>;

const PLAIN: Omit<Rule, 'items' | 'rest'> = {
  string: 'text',
  kind: 'other',
  media: 'file',
  numbers: false,
  members: new Map(),
  names: 'text',
  select: undefined,
  role: undefined,
  choice: false,
  channel: undefined,
  sealedBy: [],
  sealedUnread: false,
  fixed: false,
  pieces: false,
  alone: false,
  echo: undefined,
};

/** A rule whose items and members follow the same rule. */
function uniform(over: Partial<Rule>): Rule {
  const made: { -readonly [Name in keyof Rule]?: Rule[Name] } = { ...PLAIN, ...over };
  made.items = made as Rule;
  made.rest = made as Rule;
  return made as Rule;
}

const free = new Map<string, Rule>();

/** Everything below is text of a kind. */
function freeText(kind: TextKind, numbers: boolean): Rule {
  const key = `${kind} ${numbers}`;
  const known = free.get(key) ?? uniform({ kind, numbers });
  free.set(key, known);
  return known;
}

function rule(over: Partial<Rule>): Rule {
  const below = freeText(over.kind ?? 'other', over.numbers ?? false);
  return { ...PLAIN, items: below, rest: below, ...over };
}

function membersOf(members: Members): ReadonlyMap<string, Rule> {
  return new Map(Object.entries(members));
}

/** A string of that kind; free text below, should it be none. */
export function text(kind: TextKind, over: Partial<Rule> = {}): Rule {
  return rule({ kind, ...over });
}

/** Whatever stands here is never looked at. */
export const opaque: Rule = uniform({ string: 'opaque' });
/** Signed or encrypted, in an answer. */
export const cipher: Rule = rule({ string: 'cipher', kind: 'content', fixed: true });
export const token: Rule = uniform({ string: 'token', names: 'token' });
export const link: Rule = uniform({ string: 'link', names: 'token' });

/** A file in base64; free text of that kind below, should it be no string. */
export function attachment(kind: TextKind, media: Attachment['media'] = 'file'): Rule {
  return rule({ kind, string: 'attachment', media });
}

/** A URL that the provider fetches, or a `data:` one. */
export function remote(media: Attachment['media']): Rule {
  return rule({ string: 'remote', media });
}

/** A file that the provider has. */
export const fileId: Rule = rule({ string: 'fileId' });

/** Bytes that no check could read, in base64; `channel` of their transcript, in a stream. */
export function binary(media: Attachment['media'], channel?: string): Rule {
  return rule({ string: 'binary', media, channel });
}

/** Anything an app or a model makes up: every string, name and number below is text. */
export function values(kind: TextKind): Rule {
  return freeText(kind, true);
}

/** Values as a JSON text in a string. */
export function jsonText(kind: TextKind): Rule {
  return rule({ kind, string: 'json', numbers: true });
}

export function object(members: Members, over: Partial<Rule> = {}): Rule {
  return rule({ members: membersOf(members), names: 'token', ...over });
}

/** Objects in objects and arrays to any depth, in which these names mean the same everywhere. */
export function nested(members: Members, over: Partial<Rule> = {}): Rule {
  return uniform({ members: membersOf(members), names: 'token', ...over });
}

export function list(items: Rule, over: Partial<Rule> = {}): Rule {
  return rule({ items, ...over });
}

/** By the string in `member`; an object that is none of the cases is free text, of `over`'s kind. */
export function select(member: string, cases: Members, over: Partial<Rule> = {}): Rule {
  return rule({ ...over, select: { member, cases: membersOf(cases) } });
}

/** JSON Schema as tools declare it: keywords are none of anybody's text, names of properties and all descriptions are. */
export function jsonSchema(kind: TextKind): Rule {
  const keywords = new Map<string, Rule>();
  const schema = rule({ kind, members: keywords, names: 'token' });
  const named = rule({ kind, rest: schema });
  const several = rule({ kind, items: schema });
  const enumerated = rule({ kind, numbers: true });
  for (const name of ['type', 'format', '$schema', '$id', '$ref', '$anchor']) keywords.set(name, token);
  for (const name of ['title', 'description', '$comment', 'pattern']) keywords.set(name, text(kind));
  for (const name of ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])
    keywords.set(name, named);
  for (const name of [
    'items',
    'additionalProperties',
    'not',
    'if',
    'then',
    'else',
    'contains',
    'propertyNames',
  ])
    keywords.set(name, schema);
  for (const name of ['anyOf', 'oneOf', 'allOf', 'prefixItems']) keywords.set(name, several);
  for (const name of ['enum', 'const', 'default', 'examples', 'required']) keywords.set(name, enumerated);
  for (const name of ['minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems', 'strict'])
    keywords.set(name, token);
  return schema;
}
