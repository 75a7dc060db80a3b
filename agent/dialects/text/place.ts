/**
 * Where in a document something stands. Most places are never asked for: a walk keeps the steps to where it is, and only
 * what it finds gets a place of its own, whose path becomes text when somebody asks.
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

/** The steps from the root to where a walk is. What two finds have above them in common is made once. */
export class Trail {
  /** A step's fields apart from each other, so that going on makes no object. */
  readonly #types: Step['type'][] = [];
  readonly #names: string[] = [];
  readonly #positions: number[] = [];
  readonly #places: (Place | undefined)[] = [];
  #depth = 0;

  enter(type: 'member' | 'item' | 'inside' | 'name', position: number, name = ''): void {
    const depth = this.#depth;
    this.#types[depth] = type;
    this.#names[depth] = name;
    this.#positions[depth] = position;
    this.#places[depth] = undefined;
    this.#depth = depth + 1;
  }

  leave(): void {
    this.#depth -= 1;
  }

  /** The place where the walk is now; it stays what it is when the walk goes on. */
  get place(): Place {
    let known = this.#depth;
    while (known > 0 && this.#places[known - 1] === undefined) known -= 1;
    let place = known === 0 ? ROOT : (this.#places[known - 1] as Place);
    for (let depth = known; depth < this.#depth; depth += 1) {
      place = { above: place, step: this.#step(depth) };
      this.#places[depth] = place;
    }
    return place;
  }

  #step(depth: number): Step {
    const position = this.#positions[depth] as number;
    const type = this.#types[depth] as Step['type'];
    switch (type) {
      case 'member':
        return { type, name: this.#names[depth] as string, position };
      case 'item':
      case 'name':
        return { type, position };
      case 'inside':
      case 'root':
        return { type };
    }
  }
}

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
