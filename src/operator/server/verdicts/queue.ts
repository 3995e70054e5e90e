/** Whether mail moves on, as the relay reports it of Postfix's queue. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { ports } from "../../../mail/ports.ts";
import type { Problem } from "../../problem.ts";
import { movingSeconds, queueLevel, type ReportedFigures } from "../../tasks/relay-figures.ts";
import type { Verdict } from "../progress.ts";
import type { Seen } from "../seen.ts";
import { fine } from "./check.ts";
import { problemByLevel, reportOf } from "./hysteresis.ts";

export function queueVerdict(server: ChatmailServer, seen: Pick<Seen, "relay">): Verdict {
  const { relay } = seen;
  const report = reportOf(seen);
  const problem = problemByLevel(server, {
    type: "QueueHealthy",
    level: report && queueLevel(report),
    problem: { reason: "QueueStuck", message: stuck(report?.queue) },
  });
  if (problem) return { status: "False", ...problem };
  if (report?.queue) return { status: "True", ...fine("QueueMoving") };
  if (relay && "unreachable" in relay)
    return {
      status: "Unknown",
      reason: "RelayUnreachable",
      message: `the operator can't read the relay pod's health port, ${ports.health}: ${relay.unreachable}`,
    };
  return { status: "Unknown", reason: "RelayNotAsked", message: "the relay pod has not reported its queue" };
}

function stuck(queue: ReportedFigures["queue"]): Problem["message"] {
  if (!queue) return "";
  if (queue.oldestMovingSeconds >= movingSeconds.alarm)
    return `Postfix has held mail for more than ${movingSeconds.alarm / 60} minutes without a result; see the log of container postfix`;
  const names = queue.destinations.map(({ domain, messages }) => `${domain} (${messages})`).join(", ");
  return `mail to ${queue.lateDestinations} domains had waited for longer than an hour when this was found, most of it for ${names}; often the network does not let port 25 out, or a block list has the address; see the log of container postfix`;
}
