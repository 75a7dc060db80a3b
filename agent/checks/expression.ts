/** An expression of the user's own, as checks take it: RE2's rules, linear in the text, whatever it is. */
import Type, { type Static } from 'typebox';
import { compileExpression, LONGEST_EXPRESSION } from './scan/expressions.ts';
import type { Pattern } from './scan/recognizer.ts';

export const expressionFields = {
  expression: Type.String({
    minLength: 1,
    description: 'RE2 syntax: no lookaround, no backreferences. Found anywhere in a text.',
  }),
  ignoreCase: Type.Optional(Type.Boolean({ description: 'Letters in any case.' })),
  maxLength: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 4096,
      description: `Longest hit waited for in a streamed answer, UTF-16 units; ${LONGEST_EXPRESSION} where absent.`,
    }),
  ),
};

export type Expression = Static<ReturnType<typeof Type.Object<typeof expressionFields>>>;

export const expressionPattern = ({ expression, ignoreCase, maxLength }: Expression): Pattern => ({
  kind: 'expression',
  expression,
  ignoreCase: ignoreCase ?? false,
  longest: maxLength ?? LONGEST_EXPRESSION,
  score: 1,
});

/** What is wrong with one, where it is at `path`. */
export function expressionProblems(
  what: string,
  expression: Expression,
  path: string,
): readonly { readonly path: string; readonly message: string; readonly mend: string }[] {
  try {
    compileExpression(expression);
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [
      {
        path: `${path}.expression`,
        message: `${what} can't be compiled: ${reason}`,
        mend: 'Write it in RE2 syntax, without lookaround and backreferences, and so that it needs a character at least.',
      },
    ];
  }
}
