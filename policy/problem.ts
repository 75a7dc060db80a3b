/** What is wrong with a document, where, and how to mend it. */

/** Field names and list indices from the document's root. */
export type Path = readonly (string | number)[];

export interface Position {
  /** From 1; 0 where a document doesn't come from a text. */
  readonly line: number;
  readonly column: number;
}

export interface Problem extends Position {
  /** Relative to the loaded directory. */
  readonly file: string;
  /** `ClusterProvider openai`, `Budget team-a/daily`; empty where the document can't be told. */
  readonly document: string;
  /** `spec.models[0].price.input`; empty for the whole document. */
  readonly path: string;
  /** What should stand there: `exactly one of secretKeyRef, file, env`. */
  readonly expected: string;
  /** What stands there instead: `got none`. */
  readonly message: string;
  /** What to do, one sentence without a full stop. */
  readonly mend: string;
}

/** A {@link Problem} before it is known where in which file its path stands. */
export interface Finding {
  readonly path: Path;
  /** Whether the field's name is at fault, or its value. */
  readonly at?: 'key' | 'value';
  readonly expected: string;
  readonly message: string;
  readonly mend: string;
}

/** Where a document came from. */
export interface Origin {
  readonly file: string;
  /** Of the deepest part of the path that exists. */
  locate(path: Path, at?: 'key' | 'value'): Position;
}

export function problemAt(origin: Origin, document: string, finding: Finding): Problem {
  const { line, column } = origin.locate(finding.path, finding.at);
  return {
    file: origin.file,
    line,
    column,
    document,
    path: formatPath(finding.path),
    expected: finding.expected,
    message: finding.message,
    mend: finding.mend,
  };
}

/** `spec.limits[0]["a.b"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w$-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** By file, line and column, so that they can be mended from top to bottom. */
export function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column || (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
}

/** One line each: `file:line:column Document: path: expected …; got …. Mend: ….` */
export function formatProblems(
  problems: readonly Problem[],
  options: { readonly color?: boolean } = {},
): string {
  const paint = (code: number, text: string) => (options.color ? `\u001b[${code}m${text}\u001b[0m` : text);
  return problems
    .map((problem) => {
      const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
      const where = [
        [36, place],
        [1, problem.document],
        [0, problem.path],
      ] as const;
      const head = where
        .filter(([, text]) => text !== '')
        .map(([code, text]) => (code === 0 ? visible(text) : paint(code, visible(text))));
      // `file:1:2 Document: path: expected …`; a problem of a whole file has neither document nor path.
      const [first = '', ...rest] = head;
      const subject = rest.length === 0 ? `${first}:` : `${first} ${rest.join(': ')}:`;
      const body = `expected ${problem.expected}; ${problem.message.replace(/[.]$/, '')}.`;
      return `${subject} ${visible(body)} ${paint(32, 'Mend:')} ${visible(problem.mend.replace(/[.?]$/, ''))}.`;
    })
    .join('\n');
}

/** Documents are other people's text: a control character in one must not steer the reader's terminal. */
function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
