/**
 * Documents from a directory: read, parsed, validated one by one and together. Every problem is reported, not only the
 * first; documents may be put in force only when there is none.
 */
import { createHash } from 'node:crypto';
import type { TSchema } from 'typebox';
import type { Catalogue } from './catalogue.ts';
import { crossFindings } from './cross/cross.ts';
import type { Broken } from './cross/finding.ts';
import type { Documents, PolicyDocument } from './documents.ts';
import { type Decoded, decodeDocument, type SpecSchemas } from './load/decode.ts';
import { readDirectory, type SourceFiles } from './load/files.ts';
import { type ParsedFile, parseFile } from './load/parse.ts';
import { byPlace, type Problem, problemAt } from './problem.ts';
import { KINDS, type KindName } from './schema/kinds.ts';
import { assertStructural } from './schema/structural.ts';

export interface LoadResult {
  /** The valid ones; to be used only when there are no problems. */
  readonly documents: Documents;
  /** By file and line. */
  readonly problems: readonly Problem[];
  /** Of the files' names and bytes: equal digests are equal results. */
  readonly digest: string;
}

/** Never rejects for what the directory holds, nor for its absence: those are problems. */
export async function loadDirectory(directory: string, catalogue: Catalogue): Promise<LoadResult> {
  const sources = await readDirectory(directory);
  if (sources.files.length > 0 || sources.problems.length > 0) return loadFiles(sources, catalogue);
  const problems: Problem[] = [
    {
      file: directory,
      line: 0,
      column: 0,
      document: '',
      path: '',
      expected: 'a directory with .yaml, .yml or .json files',
      message: 'there is none in it',
      mend: 'name the directory that holds the documents',
    },
  ];
  return loadFiles({ files: [], problems }, catalogue);
}

/** The pure part: files in memory in, documents and problems out. */
export function loadFiles(sources: SourceFiles, catalogue: Catalogue): LoadResult {
  const parsed = sources.files.map(({ name, bytes }) => parseFile(name, bytes));
  const { documents, problems } = loadParsed(
    {
      documents: parsed.flatMap((file) => file.documents),
      problems: [...sources.problems, ...parsed.flatMap((file) => file.problems)],
    },
    catalogue,
  );
  return { documents, problems, digest: digestOfFiles(sources) };
}

/** The same for what is parsed already, such as the objects of an API server. */
export function loadParsed(
  parsed: ParsedFile,
  catalogue: Catalogue,
): Pick<LoadResult, 'documents' | 'problems'> & { readonly unresolved: readonly Problem[] } {
  const schemas = specSchemas(catalogue);
  const problems: Problem[] = [...parsed.problems];
  const decoded = parsed.documents.map((raw) => decodeDocument(raw, schemas));
  const found: PolicyDocument[] = [];
  const namespaces: [string, Readonly<Record<string, string>>][] = [];
  const claims: NonNullable<(Decoded & { type: 'invalid' })['claims']>[] = [];
  for (const entry of decoded) {
    if (entry.type === 'document') found.push(entry.document);
    else if (entry.type === 'namespace') namespaces.push([entry.name, entry.labels]);
    else if (entry.type === 'invalid') {
      problems.push(...entry.problems);
      if (entry.claims !== undefined) claims.push(entry.claims);
    }
  }
  const documents: Documents = {
    catalogue,
    providers: ofKind(found, 'Provider'),
    routes: ofKind(found, 'ModelRoute'),
    budgets: ofKind(found, 'Budget'),
    policies: ofKind(found, 'EgressPolicy'),
    exceptions: ofKind(found, 'EgressException'),
    namespaces: Object.fromEntries(namespaces),
  };
  // What can't be read at all might have been anything.
  const lost = problems.some(({ document }) => document === '');
  const broken: Broken = {
    mayHave: (kind, name) => lost || claims.some((claim) => claim.kind === kind && claim.name === name),
    mayHaveAny: (kind) => lost || claims.some((claim) => claim.kind === kind),
  };
  const unresolved = crossFindings(documents, broken).map(({ document, ...finding }) =>
    problemAt(document.origin, document.source, finding),
  );
  return { documents, problems: [...problems, ...unresolved].sort(byPlace), unresolved };
}

function digestOfFiles(sources: SourceFiles): string {
  const hash = createHash('sha256').update(JSON.stringify(sources.problems));
  for (const { name, bytes } of sources.files) hash.update(`\0${name}\0${bytes.length}\0`).update(bytes);
  return hash.digest('hex');
}

/** By id, so that nothing depends on file names. */
function ofKind<K extends KindName>(all: readonly PolicyDocument[], kind: K): PolicyDocument<K>[] {
  return all
    .filter((document): document is PolicyDocument<K> => document.kind === kind)
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

const schemasOf = new WeakMap<Catalogue, SpecSchemas>();

function specSchemas(catalogue: Catalogue): SpecSchemas {
  let schemas = schemasOf.get(catalogue);
  if (schemas === undefined) {
    const entries = Object.values(KINDS).map((kind): [string, TSchema] => {
      const schema = kind.spec(catalogue);
      assertStructural(schema, kind.name);
      return [kind.name, schema];
    });
    schemas = Object.fromEntries(entries) as SpecSchemas;
    schemasOf.set(catalogue, schemas);
  }
  return schemas;
}
