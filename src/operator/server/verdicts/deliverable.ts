/**
 * Whether mail is delivered, as the relay finds out by messages to itself. It reports a change only
 * after two results in a row.
 */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { ports } from "../../../mail/ports.ts";
import type { Problem } from "../../problem.ts";
import type { Verdict } from "../progress.ts";
import type { Seen } from "../seen.ts";
import { fine } from "./check.ts";

export function deliverableVerdict({ spec: { domain } }: ChatmailServer, { relay }: Pick<Seen, "relay">): Verdict {
  if (!relay) return notProbed("the relay pod has not reported since it became ready");
  if ("unreachable" in relay)
    return {
      status: "Unknown",
      reason: "RelayUnreachable",
      message: `the operator can't read the relay pod's health port, ${ports.health}: ${relay.unreachable}`,
    };
  const { deliverable } = relay.report;
  if (!deliverable) return notProbed("the relay's image does not send messages to itself");
  const is = deliverable[domain];
  if (!is) return notProbed("no message of the relay to itself has been delivered yet");
  if (is.status) return { status: "True", ...fine("MessageDelivered") };
  const words = is.message ? ` (${is.message})` : "";
  return {
    status: "False",
    reason: "DeliveryFailed",
    message: `messages of the relay to itself are not delivered: step ${is.step ?? "unknown"} fails${words}`,
  };
}

const notProbed = (message: string): Verdict => ({ status: "Unknown", reason: "NotProbed", message });

/** A relay that accepts no mail, or delivers none, does not serve. */
export function mailIsDelivered(seen: Pick<Seen, "relay">, server: ChatmailServer): Problem | undefined {
  const { status, reason, message } = deliverableVerdict(server, seen);
  return status === "False" ? { reason, message } : undefined;
}
