/** Accounts as an administrator sees them. Pure. */
import type { Count, User } from "../../relay/users/users.ts";
import { harmless, type Paint } from "../text/paint.ts";
import { table } from "../text/table.ts";

export function countTable(counts: readonly Count[]): string {
  const rows = counts.map(({ domain, accounts, active, disabled }) => [domain, accounts, active, disabled].map(String));
  return table(["DOMAIN", "ACCOUNTS", "ACTIVE IN 30 DAYS", "DISABLED"], rows);
}

export function userTable(users: readonly User[], paint: Paint): string {
  const rows = users.map(({ address, lastLogin, disabled }) => [
    harmless(address),
    lastLogin,
    disabled ? paint("doubtful", "disabled") : "",
  ]);
  return rows.length > 0 ? table(["ADDRESS", "LAST LOGIN", "STATE"], rows) : "no account has this in its address\n";
}
