/** What the container says that fills a new volume from a backup. Pure. */
import type { Problem } from "../problem.ts";
import { problemIn } from "./backup-report.ts";
import type { ContainerStatus, LivePod } from "./live.ts";

const restoreContainerName = "restore";

/** Undefined where it is another container, or says nothing of its own. */
export function restoreProblem(
  { metadata }: LivePod,
  { name, state, lastState }: ContainerStatus,
): Problem | undefined {
  if (name !== restoreContainerName) return undefined;
  if (state?.running) return { reason: "Restoring", message: "accounts are restored from a backup" };
  const ended = state?.terminated ?? lastState?.terminated;
  if (!ended || ended.exitCode === 0) return undefined;
  const { namespace, name: pod } = metadata;
  const logs = `see kubectl logs -n ${namespace} ${pod} -c ${restoreContainerName}`;
  const cause = ended.reason === "OOMKilled" ? "it ran out of memory (raise spec.resources.backup)" : logs;
  const said = problemIn(ended.message) ?? cause;
  return { reason: "RestoreFailed", message: `nothing is restored, and the relay does not start: ${said}` };
}
