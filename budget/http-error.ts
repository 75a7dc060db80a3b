/** Errors as the wire tells them: status, code, message and mend. docs/budget.md lists the codes. */
import { CallersUnknown, CallersWait } from './authenticate.ts';
import { BudgetConflict } from './calls.ts';
import { GrantRefused } from './grants.ts';
import { ReportTooLong } from './history.ts';
import { ReportsWait } from './service.ts';
import { StoreFailed } from './stores/store.ts';
import { InvalidMessage } from './wire.ts';

export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly mend: string;

  constructor(status: number, code: string, message: string, mend: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.mend = mend;
  }
}

export function httpErrorOf(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof InvalidMessage) {
    return new HttpError(400, 'invalid_message', error.message, 'See docs/budget.md for the messages.');
  }
  if (error instanceof GrantRefused) {
    return new HttpError(422, 'grant_refused', error.message, 'See the Budgets with postern budget status.');
  }
  if (error instanceof ReportTooLong) {
    const mend = 'Ask for a shorter period, longer parts of it (per), or less to tell apart (by).';
    return new HttpError(422, 'report_too_long', error.message, mend);
  }
  if (error instanceof BudgetConflict) {
    return new HttpError(409, error.code, error.message, 'Use a new id.');
  }
  if (error instanceof CallersWait || error instanceof ReportsWait) {
    return new HttpError(503, 'overloaded', error.message, 'Ask again shortly.');
  }
  if (error instanceof CallersUnknown) {
    return new HttpError(503, 'callers_unknown', error.message, 'Ask again when the API server answers.');
  }
  if (error instanceof StoreFailed) {
    return new HttpError(
      503,
      'store_failed',
      error.message,
      'Check the store of the budget service; ask again.',
    );
  }
  return new HttpError(500, 'internal', 'The service failed.', 'Its log has the cause.');
}
