/** What the container says that fills a new volume from a backup, or from another relay. Pure. */
import { labels } from "../../api/names.ts";
import type { Problem } from "../problem.ts";
import { problemIn } from "./backup-report.ts";
import type { ContainerStatus, LivePod } from "./live.ts";

const containerNames = ["restore", "import"];

/** Undefined where it is another container, or says nothing of its own. */
export function restoreProblem(
  { metadata, spec }: LivePod,
  { name, state, lastState }: ContainerStatus,
): Problem | undefined {
  if (!containerNames.includes(name)) return undefined;
  if (state?.running) {
    const own = spec?.initContainers?.find((each) => each.name === name);
    const server = metadata.labels?.[labels.server];
    if (own?.command?.includes("--upload"))
      return {
        reason: "Restoring",
        message: `the pod waits for a backup: kubectl chatmail restore ${server} FILE --identity KEY`,
      };
    const from = name === "import" ? "another relay" : "a backup";
    return { reason: "Restoring", message: `accounts are restored from ${from}` };
  }
  const ended = state?.terminated ?? lastState?.terminated;
  if (!ended || ended.exitCode === 0) return undefined;
  const { namespace, name: pod } = metadata;
  const logs = `see kubectl logs -n ${namespace} ${pod} -c ${name}`;
  const cause = ended.reason === "OOMKilled" ? "it ran out of memory (raise spec.resources.backup)" : logs;
  const said = problemIn(ended.message) ?? cause;
  return { reason: "RestoreFailed", message: `nothing is restored, and the relay does not start: ${said}` };
}
