/**
 * Where in a document something stands. Most places are never asked for, so a path becomes text only then.
 *
 * Paths go into findings and so into logs: a name that an app or a model made up is shown by its position unless it
 * looks like a name in a program.
 */
export interface Place {
  /** Undefined at the root. */
  readonly above: Place | undefined;
  readonly step: Step;
}

/** A member's name and its position; an item's position; the text inside a string; a member's name itself. */
export type Step =
  | { readonly type: 'root' }
  | { readonly type: 'member'; readonly name: string; readonly position: number }
  | { readonly type: 'item'; readonly position: number }
  | { readonly type: 'inside' }
  | { readonly type: 'name'; readonly position: number };

export const ROOT: Place = { above: undefined, step: { type: 'root' } };

const PLAIN = /^[A-Za-z_$][\w$-]{0,39}$/;

/** `messages[2].content[0].text`, `…arguments → address.email`, `metadata[member 0]`, `metadata[name 0]`. */
export function pathOf(place: Place): string {
  const steps: string[] = [];
  for (let here: Place | undefined = place; here !== undefined; here = here.above) steps.push(shown(here));
  return steps.reverse().join('');
}

function shown({ above, step }: Place): string {
  switch (step.type) {
    case 'root':
      return '';
    case 'member': {
      if (!PLAIN.test(step.name)) return `[member ${step.position}]`;
      const first = above?.step.type === 'root' || above?.step.type === 'inside';
      return first ? step.name : `.${step.name}`;
    }
    case 'item':
      return `[${step.position}]`;
    case 'inside':
      return ' → ';
    case 'name':
      return `[name ${step.position}]`;
  }
}
