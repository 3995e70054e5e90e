import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { annotations } from "../../../api/names.ts";
import { planFile } from "../../../pod/layout.ts";
import { planHash } from "../../../pod/plan-files.ts";
import type { Problem } from "../../problem.ts";
import type { Verdict } from "../progress.ts";
import type { Judged, Seen } from "../seen.ts";
import { isPauseAnnotated, type Management } from "../spec.ts";
import { fine } from "./check.ts";
import { updateVerdict } from "./update.ts";

export function restVerdict({ spec, metadata }: Judged["server"], management: Management): Problem {
  switch (management) {
    case "Managed":
      return fine("Managed");
    case "Unmanaged":
      return {
        reason: "Unmanaged",
        message: "management is Unmanaged: the operator changes nothing, and reports health",
      };
    case "Paused": {
      const isByAnnotation = spec?.management !== "Paused" && isPauseAnnotated(metadata);
      const why = isByAnnotation ? `annotation ${annotations.pause} is set` : "management is Paused";
      return { reason: "Paused", message: `${why}: changes of the spec are not applied` };
    }
  }
}

/**
 * Whether the pod is of the revision that spec and operator ask for, and goes by the plan that
 * follows from the spec. One that it can't use changes
 * nothing: what was served is served on.
 */
export function upToDateVerdict(server: ChatmailServer, seen: Seen): Verdict {
  const { waiting = [] } = seen;
  if (waiting.length > 0) {
    const { message } = restVerdict(server, server.spec.management);
    return { status: "False", reason: "EditWaiting", message: `${message}, and ${waiting.join(", ")} would change` };
  }
  const { failed, waits } = updateVerdict(server, seen);
  const plan = planVerdict(seen);
  return failed ?? (plan.status === "False" ? plan : (waits ?? plan));
}

function planVerdict({ relay, configMap }: Seen): Verdict {
  const plan = relay && "report" in relay ? relay.report.plan : undefined;
  const text = configMap?.data?.[planFile];
  if (!plan || text === undefined)
    return { status: "Unknown", reason: "RelayNotAsked", message: "the relay pod has not reported its plan" };
  const wanted = planHash(text);
  if (plan.used === wanted && plan.problem === undefined)
    return { status: "True", reason: "PlanUsed", message: "the relay goes by the newest plan" };
  if (plan.given === wanted && plan.problem !== undefined)
    return {
      status: "False",
      reason: "PlanRefused",
      message: `the relay goes on as before, because its image can't use the new settings: ${plan.problem}`,
    };
  return { status: "False", reason: "PlanPending", message: "the new settings are on their way to the relay pod" };
}
