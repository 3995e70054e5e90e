import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { acceptingReasons } from "../../../api/reasons.ts";
import { ports } from "../../../mail/ports.ts";
import type { Verdict } from "../progress.ts";
import type { Seen } from "../seen.ts";
import { fine } from "./check.ts";

/** As the relay reports it: whoever has an address already is served all the same. */
export function acceptingVerdict({ spec: { domain } }: ChatmailServer, { relay }: Seen): Verdict {
  if (!relay)
    return {
      status: "Unknown",
      reason: "RelayNotAsked",
      message: "the relay pod has not reported since it became ready",
    };
  if ("unreachable" in relay)
    return {
      status: "Unknown",
      reason: "RelayUnreachable",
      message: `the operator can't read the relay pod's health port, ${ports.health}: ${relay.unreachable}`,
    };
  const accepting = relay.report.acceptingAccounts[domain];
  if (!accepting)
    return { status: "Unknown", reason: "RelayNotAsked", message: `the relay pod does not report on ${domain}` };
  if (accepting.status) return { status: "True", ...fine("AccountsOpen") };
  const { message, reason: reported } = accepting;
  const reason = acceptingReasons.find((each) => each === reported);
  return {
    status: "False",
    reason: reason ?? "AccountsRefused",
    message: `no new accounts are created: ${message}. Existing accounts are served`,
  };
}
