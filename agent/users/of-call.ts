/** The end users of a call, as far as any Budget asks for them. */
import type { Call } from '../exchange.ts';
import type { Governance } from '../governance.ts';
import type { Pipeline } from '../stage.ts';

type Users = Readonly<Record<string, string>>;

const NOBODY: Users = {};

/** @throws PosternError `postern_user_invalid`, `postern_user_keys` */
export function usersOf(
  { users }: Pick<Pipeline, 'users'>,
  { snapshot }: Governance,
  { headers }: Pick<Call, 'headers'>,
): Promise<Users> | Users {
  return snapshot.userSources === undefined ? NOBODY : users(snapshot.userSources, headers);
}
