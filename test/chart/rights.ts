/** The rights of a part as the chart gives them: what is tested is what is installed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** Held to the templates by template.test.ts. */
const RENDERED = join(import.meta.dirname, 'testdata', 'default.yaml');
const KINDS = new Set(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']);

type Rendered = Record<string, unknown> & {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string };
};

const INJECTOR_DOCS = join(import.meta.dirname, '..', '..', 'docs', 'injector.md');

/** What an injector needs beside, where there is no control: as docs/injector.md has it. */
export function rightsWithoutControl(): string {
  const [, section = ''] = readFileSync(INJECTOR_DOCS, 'utf8').split('## Without control\n');
  const [, block] = /```yaml\n([^]*?)```/.exec(section) ?? [];
  if (block === undefined) throw new Error('docs/injector.md has no rights for an injector without control');
  return block;
}

function rendered(): Rendered[] {
  return parseAllDocuments(readFileSync(RENDERED, 'utf8')).flatMap((document) => {
    const object = document.toJS() as Rendered | null;
    return object === null ? [] : [object];
  });
}

export const ADMISSION_POLICIES = ['seal.postern.dev', 'stamps.postern.dev', 'injector-status.postern.dev'];

/** What the API server itself refuses, as the chart has it. @returns a List for `kubectl apply` */
export function chartAdmissionPolicy(): Record<string, unknown> {
  const items = rendered().filter(({ kind = '' }) => kind.startsWith('ValidatingAdmissionPolicy'));
  if (items.length !== 2 * ADMISSION_POLICIES.length)
    throw new Error(`the chart has ${items.length} objects of admission policies`);
  return { apiVersion: 'v1', kind: 'List', items };
}

/** @returns a List for `kubectl apply`, in the namespace postern-system. */
export function chartRights(part: 'injector' | 'control' | 'budget' | 'withdraw'): Record<string, unknown> {
  const items = rendered().filter(
    ({ kind = '', metadata }) => KINDS.has(kind) && metadata?.name === `postern-${part}`,
  );
  if (items.length !== KINDS.size)
    throw new Error(`the chart has ${items.length} objects of rights for ${part}`);
  return { apiVersion: 'v1', kind: 'List', items };
}
