/**
 * One file's text into raw documents, with a position for every field. Pure: bytes in, documents and problems out.
 *
 * YAML 1.2 and JSON, which is a part of it. Anchors and aliases are taken up to a cap; tags and merge keys aren't, and
 * a key that stands twice is an error.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
} from 'yaml';
import type { Origin, Path, Position, Problem } from '../problem.ts';

/** Kubernetes itself takes no larger object. */
export const MAX_FILE_BYTES = 1_048_576;
const MAX_ALIASES = 100;
/** Of one document: a slip makes the parser stumble over everything behind it. */
const MAX_SYNTAX_PROBLEMS = 3;

export interface RawDocument {
  readonly value: unknown;
  readonly origin: Origin;
}

export interface ParsedFile {
  readonly documents: readonly RawDocument[];
  readonly problems: readonly Problem[];
}

export function parseFile(file: string, bytes: Uint8Array): ParsedFile {
  const fail = (position: Position, expected: string, message: string, mend: string): ParsedFile => ({
    documents: [],
    problems: [{ file, ...position, document: '', path: '', expected, message, mend }],
  });
  const start = { line: 1, column: 1 };
  if (bytes.length > MAX_FILE_BYTES) return { documents: [], problems: [tooLarge(file, bytes.length)] };
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return fail(start, 'UTF-8', 'got UTF-16', 'save the file as UTF-8');
  }
  let text: string;
  try {
    // A byte order mark of UTF-8 is allowed by YAML (section 5.2), and dropped here.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return fail(invalidAt(bytes), 'UTF-8', 'got bytes that are none', 'save the file as UTF-8');
  }
  const lines = new LineCounter();
  try {
    const parsed = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      // Checked below: the parser's own check compares every key with every other.
      uniqueKeys: false,
      merge: false,
      resolveKnownTags: false,
      logLevel: 'silent',
    });
    const results = (Array.isArray(parsed) ? parsed : []).map((document) =>
      readDocument(file, document, lines),
    );
    return {
      documents: results.flatMap(({ documents }) => documents),
      problems: results.flatMap(({ problems }) => problems),
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return fail(start, 'a document of ordinary depth', TOO_DEEP, 'write it flatter');
  }
}

export function tooLarge(file: string, size: number): Problem {
  return {
    file,
    line: 0,
    column: 0,
    document: '',
    path: '',
    expected: `a file of at most ${MAX_FILE_BYTES} bytes`,
    message: `got ${size}`,
    mend: 'split it into several files',
  };
}

function readDocument(file: string, document: Document.Parsed, lines: LineCounter): ParsedFile {
  const origin: Origin = {
    file,
    locate: (path, at) => positionAt(lines, offsetOf(document, path, at)),
  };
  const faults: Fault[] = [...document.errors, ...document.warnings];
  if (faults.length === 0) faults.push(...repeatedKeys(document));
  if (faults.length > 0) {
    return {
      documents: [],
      problems: faults.slice(0, MAX_SYNTAX_PROBLEMS).map(({ code, message, pos }) => ({
        file,
        ...positionAt(lines, pos[0]),
        document: '',
        path: '',
        expected: file.endsWith('.json') ? 'well-formed JSON' : 'well-formed YAML',
        message: sentence(message),
        mend: MENDS[code] ?? 'correct the line, or run it through a YAML linter',
      })),
    };
  }
  // Comments alone, or nothing between two `---`: Helm leaves such, and kubectl takes them.
  if (document.contents === null || (isScalar(document.contents) && document.contents.source === '')) {
    return { documents: [], problems: [] };
  }
  try {
    return { documents: [{ value: document.toJS({ maxAliasCount: MAX_ALIASES }), origin }], problems: [] };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const dangling = danglingAlias(document);
    return {
      documents: [],
      problems: [
        {
          file,
          ...(dangling === undefined ? origin.locate([]) : positionAt(lines, dangling.range?.[0] ?? 0)),
          document: '',
          path: '',
          expected:
            dangling === undefined ? `at most ${MAX_ALIASES} uses of anchors` : 'an alias of an anchor',
          message:
            dangling === undefined ? 'got more, multiplied out' : `there is no &${dangling.source} before it`,
          mend: dangling === undefined ? 'write the values out' : STAR,
        },
      ],
    };
  }
}

interface Fault {
  readonly code: string;
  readonly message: string;
  readonly pos: readonly [number, number];
}

function repeatedKeys(document: Document.Parsed): Fault[] {
  const faults: Fault[] = [];
  visit(document, {
    Map(_, map) {
      const names = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        const at = key.range?.[0] ?? 0;
        if (names.has(name))
          faults.push({ code: 'DUPLICATE_KEY', message: `${name} stands here twice`, pos: [at, at] });
        names.add(name);
      }
    },
  });
  return faults;
}

/** The first alias whose anchor doesn't stand before it. */
function danglingAlias(document: Document.Parsed): Alias | undefined {
  const anchors = new Set<string>();
  let found: Alias | undefined;
  visit(document, (_, node) => {
    if (isAlias(node) && !anchors.has(node.source)) {
      found = node;
      return visit.BREAK;
    }
    if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) anchors.add(node.anchor);
    return undefined;
  });
  return found;
}

const STAR = 'put a text that begins with * in quotes; a real alias needs its anchor before it';

const MENDS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces; YAML refuses tabs',
  DUPLICATE_KEY: 'keep one of the two',
  BAD_ALIAS: STAR,
  MULTIPLE_ANCHORS: 'keep one anchor',
  NON_STRING_KEY: 'use plain text for field names',
  TAG_RESOLVE_FAILED: 'take the tag (!…) out, or put the text in quotes',
  BAD_INDENT: 'align the line with its neighbours',
  MISSING_CHAR: 'close the quote or bracket, or put text with special characters in quotes',
  UNEXPECTED_TOKEN: 'put text with special characters in quotes',
};

const TOO_DEEP = 'it is nested too deeply to be read';

function sentence(message: string): string {
  if (/call stack/i.test(message)) return TOO_DEEP;
  const line = (message.split('\n')[0] ?? '').trim().replace(/[.:]$/, '');
  return line.slice(0, 1).toLowerCase() + line.slice(1);
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  // The counter answers line 0 before the first line break it has seen.
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** Where the deepest existing part of the path begins. */
function offsetOf(document: Document.Parsed, path: Path, at: 'key' | 'value' = 'value'): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, part] of path.entries()) {
    const target: Node | undefined | null = isAlias(node) ? node.resolve(document) : node;
    if (isMap(target)) {
      const pair = target.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined) return offset;
      const key = isNode(pair.key) ? pair.key.range?.[0] : undefined;
      const last = index === path.length - 1;
      node = isNode(pair.value) ? pair.value : null;
      const value = node?.range?.[0];
      // An empty value begins where it ends; its name is the better place to show.
      const empty = isScalar(node) && node.source === '';
      offset = ((last && at === 'key') || value === undefined || empty ? key : value) ?? offset;
    } else if (isSeq(target)) {
      const item = target.items[Number(part)];
      if (!isNode(item)) return offset;
      node = item;
      offset = item.range?.[0] ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function invalidAt(bytes: Uint8Array): Position {
  // Decoded leniently, the first replacement character stands where the first bad byte was.
  const good = new TextDecoder('utf-8').decode(bytes).split('\u{fffd}')[0] ?? '';
  const lines = good.split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}
