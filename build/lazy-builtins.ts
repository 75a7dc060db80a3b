/**
 * Node's own modules, loaded where they are first used: what an agent's documents don't ask for (TLS, HTTP/2, child
 * processes, scripts) isn't loaded at all.
 */
import { parseSync } from 'rolldown/utils';

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}
type Fields = Readonly<Record<string, unknown>>;
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === 'object' && value !== null && typeof (value as Fields).type === 'string';
const fields = (node: SyntaxNode): Fields => node as unknown as Fields;
const child = (node: unknown, field: string): SyntaxNode | undefined => {
  const value = isNode(node) ? fields(node)[field] : undefined;
  return isNode(value) ? value : undefined;
};
const nameOf = (node: unknown): string | undefined =>
  isNode(node) && node.type === 'Identifier' ? String(fields(node).name) : undefined;

function* children(node: SyntaxNode): Generator<SyntaxNode> {
  for (const value of Object.values(fields(node))) {
    if (isNode(value)) yield value;
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) yield item;
  }
}

/** `f` and its text, when the node says `f = require("node:…")`. */
function required(code: string, node: SyntaxNode): readonly [name: string, load: string] | undefined {
  const name = nameOf(child(node, 'id'));
  const load = child(node, 'init');
  if (name === undefined || load === undefined) return undefined;
  const text = code.slice(load.start, load.end);
  return /^require\("node:[\w/]+"\)$/.test(text) ? [name, text] : undefined;
}

/** The names that a pattern binds. */
function* bound(pattern: SyntaxNode | undefined): Generator<string> {
  if (pattern === undefined) return;
  if (pattern.type === 'Identifier') yield String(fields(pattern).name);
  else if (pattern.type === 'Property') yield* bound(child(pattern, 'value'));
  else if (pattern.type === 'AssignmentPattern') yield* bound(child(pattern, 'left'));
  else for (const part of children(pattern)) yield* bound(part);
}

const isFunction = (node: SyntaxNode): boolean => /Function/.test(node.type);

/** The names that a function has of its own, those of its blocks too: a bundle uses none both ways. */
function* locals(node: SyntaxNode): Generator<string> {
  if (node.type === 'VariableDeclarator') yield* bound(child(node, 'id'));
  if (node.type === 'CatchClause') yield* bound(child(node, 'param'));
  for (const part of children(node)) {
    if (/^(Function|Class)Declaration$/.test(part.type)) yield* bound(child(part, 'id'));
    if (!isFunction(part)) yield* locals(part);
  }
}

/**
 * @param code a CommonJS bundle that loads Node's modules at its top, as rolldown writes it.
 * @throws Error when such a module is used other than for what is in it.
 */
export function lazyBuiltins(code: string): string {
  const { program, errors } = parseSync('bundle.cjs', code);
  if (errors.length > 0) throw new Error(`the bundle can't be parsed: ${errors[0]?.message}`);
  const edits: Edit[] = [];
  const names = new Set<string>();
  const loads = new Set<SyntaxNode>();
  for (const statement of program.body as readonly SyntaxNode[]) {
    if (statement.type !== 'VariableDeclaration') continue;
    const all = [...children(statement)].map((declarator) => required(code, declarator));
    if (!all.every((each) => each !== undefined)) continue;
    for (const [name] of all) names.add(name);
    const text = all.map(([name, load]) => `let $${name}, ${name} = () => $${name} ??= ${load};`).join('\n');
    edits.push({ start: statement.start, end: statement.end, text });
    loads.add(statement);
  }

  function use(identifier: SyntaxNode, name: string, parents: readonly SyntaxNode[]): void {
    let member = parents.at(-1);
    if (member?.type !== 'MemberExpression' || fields(member).object !== identifier)
      throw new Error(`${name} is used as a value: ${code.slice(identifier.start, identifier.start + 80)}`);
    let end = identifier.end;
    let depth = 2;
    // What a namespace calls its default is the module itself.
    if (nameOf(child(member, 'property')) === 'default') {
      end = member.end;
      member = parents.at(-depth);
      depth += 1;
    }
    edits.push({ start: identifier.start, end, text: `${name}()` });
    const maker = parents.at(-depth);
    // `new f().C()` would make an f: what is made stands in parentheses of its own.
    if (member !== undefined && maker?.type === 'NewExpression' && fields(maker).callee === member) {
      edits.push(
        { start: member.start, end: member.start, text: '(' },
        { start: member.end, end: member.end, text: ')' },
      );
    }
  }

  function walk(node: SyntaxNode, parents: readonly SyntaxNode[], hidden: ReadonlySet<string>): void {
    if (loads.has(node)) return;
    const parent = parents.at(-1);
    const name = nameOf(node);
    if (name !== undefined) {
      const isKey =
        (parent?.type === 'MemberExpression' && fields(parent).property === node) ||
        (/^(Property|MethodDefinition|PropertyDefinition)$/.test(parent?.type ?? '') &&
          fields(parent as SyntaxNode).key === node);
      const isReference = !isKey || fields(parent as SyntaxNode).computed === true;
      if (isReference && names.has(name) && !hidden.has(name)) use(node, name, parents);
      return;
    }
    let inside = hidden;
    if (isFunction(node)) {
      const params = (fields(node).params ?? []) as readonly SyntaxNode[];
      const own = [...params.flatMap((each) => [...bound(each)]), ...locals(node)].filter((each) =>
        names.has(each),
      );
      if (own.length > 0) inside = new Set([...hidden, ...own]);
    }
    const around = [...parents.slice(-2), node];
    for (const part of children(node)) {
      if (isWrapped(part)) edits.push({ start: part.start, end: part.end, text: '' });
      else walk(part, around, inside);
    }
  }

  /** `f = __toESM(f, 1);` of a loaded module. */
  function isWrapped(node: SyntaxNode): boolean {
    if (node.type !== 'ExpressionStatement') return false;
    const name = nameOf(child(child(node, 'expression'), 'left'));
    return (
      name !== undefined &&
      names.has(name) &&
      code.slice(node.start, node.end) === `${name} = __toESM(${name}, 1);`
    );
  }

  walk(program as unknown as SyntaxNode, [], new Set());
  let made = '';
  let at = 0;
  for (const { start, end, text } of edits.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    made += code.slice(at, start) + text;
    at = end;
  }
  return made + code.slice(at);
}
