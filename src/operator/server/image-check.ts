/** What came of the check of another image, as its job and its pod have it. Pure. */
import type { Problem } from "../problem.ts";
import type { ContainerStatus, LiveJob, LivePod } from "./live.ts";
import { podProblem } from "./pod-problem.ts";

/**
 * - passed: the image can use the plan.
 * - unchecked: nobody can say, and nobody will; `why`.
 * - pending: not known yet.
 * - refused: it can't; in the words of what failed.
 * - interrupted: something that has nothing to do with the image ended the check.
 */
export type CheckOutcome =
  | { state: "passed" }
  | { state: "unchecked"; why: string }
  | { state: "pending"; problem?: Problem }
  | { state: "refused"; words: string }
  | { state: "interrupted"; why: string };

/** What the images of versions say that have no such check. They can be gone back to. */
const hasNoCheck = /^the second word is start or try$/m;

const noRoom = /Insufficient |Too many pods/;

export function checkOutcome(job: LiveJob, pod: LivePod | undefined, now: Date): CheckOutcome {
  if (pod?.status?.phase === "Succeeded" || isJob(job, "Complete")) return { state: "passed" };
  if (pod?.status?.phase === "Failed") return failure(pod);
  if (isJob(job, "Failed")) return { state: "interrupted", why: "the pod of the check is gone" };
  if (!pod) return { state: "pending" };
  if (pod.metadata.deletionTimestamp) return { state: "interrupted", why: "the pod of the check was deleted" };
  const problem = podProblem(pod, { now });
  if (problem?.reason === "PodUnschedulable" && noRoom.test(problem.message))
    return { state: "unchecked", why: problem.message };
  return problem && problem.reason !== "PodPending" ? { state: "pending", problem } : { state: "pending" };
}

const isJob = ({ status }: LiveJob, type: "Complete" | "Failed") =>
  status?.conditions?.some((each) => each.type === type && each.status === "True") ?? false;

function failure({ status = {} }: LivePod): CheckOutcome {
  const { reason, message, initContainerStatuses = [], containerStatuses = [] } = status;
  // the kubelet had no room: OutOfcpu, OutOfmemory, OutOfpods
  if (reason?.startsWith("OutOf")) return { state: "unchecked", why: message ?? reason };
  if (reason) return { state: "interrupted", why: message ? `${reason}: ${message}` : reason };
  const ended = [...initContainerStatuses, ...containerStatuses].find(
    ({ state }) => state?.terminated && state.terminated.exitCode !== 0,
  );
  if (!ended) return { state: "interrupted", why: "the pod of the check failed" };
  const said = wordsOf(ended);
  if (hasNoCheck.test(said)) return { state: "unchecked", why: "it is of a version that has no such check" };
  return { state: "refused", words: said };
}

/** The last lines that a container has written, or how it ended. */
function wordsOf({ name, state }: ContainerStatus): string {
  const { message = "", reason = "", exitCode } = state?.terminated ?? {};
  const said = message.trim();
  if (said !== "" && reason !== "OOMKilled") return said;
  return `container ${name} ended with exit code ${exitCode}${reason && reason !== "Error" ? ` (${reason})` : ""}`;
}
