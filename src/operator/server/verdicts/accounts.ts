/**
 * How many accounts there are, as the relay counts them. Told again only when it is another number
 * by far.
 */
import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { isAlike } from "../../tasks/relay-figures.ts";
import type { Seen } from "../seen.ts";
import { reportOf } from "./hysteresis.ts";

export function accountsOf(
  { spec, status }: ChatmailServer,
  seen: Pick<Seen, "relay">,
): Pick<ChatmailServerStatus, "accounts"> {
  const before = status?.accounts;
  const now = reportOf(seen)?.accounts?.[spec.domain]?.all;
  const accounts = now === undefined || (before !== undefined && isAlike(before, now)) ? before : now;
  return accounts === undefined ? {} : { accounts };
}
