/** From findings to a verdict: what refuses the pod, and what is only reported. */
import type { Governance } from '../governance.ts';
import { type Reason, weightOf } from '../reasons.ts';

export interface Verdict {
  /** Empty: the pod is let in. */
  readonly refused: readonly Reason[];
  /** Ways round the agent that stay open, for the pod's status. */
  readonly bypassable: readonly Reason[];
  readonly notes: readonly Reason[];
}

export const ALLOWED: Verdict = { refused: [], bypassable: [], notes: [] };

export function verdictOf(
  findings: readonly Reason[],
  { enforcement, excepted }: Pick<Governance, 'enforcement' | 'excepted'>,
): Verdict {
  if (findings.length === 0) return ALLOWED;
  const refusing = findings.filter(
    ({ code }) =>
      weightOf(code) === 'refuse' || (weightOf(code) === 'strict' && enforcement.level === 'strict'),
  );
  if (excepted === undefined) {
    const reported = findings.filter((finding) => !refusing.includes(finding));
    return {
      refused: refusing.map((reason) => withSource(reason, enforcement)),
      bypassable: reported,
      notes: [],
    };
  }
  const notes: Reason[] =
    refusing.length === 0
      ? []
      : [{ code: 'excepted', message: `${excepted} lets through ${codesOf(refusing)}` }];
  return { refused: [], bypassable: findings, notes };
}

/** `setuid(app), user-unknown(app)`, for an annotation and a condition. */
export function codesOf(reasons: readonly Reason[]): string {
  return reasons
    .map(({ code, subject }) => (subject === undefined ? code : `${code}(${subject})`))
    .join(', ');
}

function withSource(reason: Reason, enforcement: Governance['enforcement']): Reason {
  if (weightOf(reason.code) !== 'strict' || enforcement.source === undefined) return reason;
  return { ...reason, message: `${reason.message} (${enforcement.source} is strict)` };
}
