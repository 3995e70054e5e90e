/** Why a relay pod is not ready, in words a person can act on. Pure. */

import type { Problem } from "../problem.ts";
import { isOverdue, lostNode, nodeLost, startProblem, unscheduledPod } from "./cluster-words.ts";
import type { ContainerStatus, LiveEvent, LivePod, LiveVolumeClaim } from "./live.ts";
import { restoreProblem } from "./restore-problem.ts";

const imageReasons = [
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "RegistryUnavailable",
];

/** Ordinary steps on the way to a running container. */
const onTheWay = ["ContainerCreating", "PodInitializing"];

/**
 * The first problem of a pod; undefined when all its containers are ready. `event`: the newest
 * warning about it.
 */
export function podProblem(
  pod: LivePod,
  about: { now: Date; event?: LiveEvent | undefined; claim?: LiveVolumeClaim | undefined },
): Problem | undefined {
  const { status = {} } = pod;
  const { now, event, claim } = about;
  const lost = lostNode(pod, now);
  if (lost) return nodeLost(pod, lost.since, claim);
  if (pod.metadata.deletionTimestamp)
    return {
      reason: "PodPending",
      message: isOverdue(pod, now)
        ? `the relay pod was to end at ${pod.metadata.deletionTimestamp}, and its node has not finished: see kubectl describe pod -n ${pod.metadata.namespace} ${pod.metadata.name}`
        : "the relay pod is terminating and will be replaced",
    };
  if (status.phase === "Failed")
    return {
      reason: "PodFailing",
      message: `the pod failed: ${status.message ?? status.reason ?? "no cause reported"}`,
    };

  const scheduled = status.conditions?.find((condition) => condition.type === "PodScheduled");
  if (scheduled?.status === "False")
    return {
      reason: "PodUnschedulable",
      message: `no node can run the pod: ${unscheduledPod(scheduled.message ?? scheduled.reason ?? "no cause reported")}`,
    };

  const initial = (status.initContainerStatuses ?? []).filter((container) => !container.ready);
  const lasting = (status.containerStatuses ?? []).filter((container) => !container.ready);
  const problems = [...initial, ...lasting].map((container) => containerProblem(pod, container));
  const worst = problems.find((problem) => problem !== undefined);
  if (worst) return worst;

  if (event && isBeforeContainers(pod)) return startProblem(pod, event);
  const waiting = (initial.length > 0 ? initial : lasting).map((container) => container.name);
  const ready = status.conditions?.find((condition) => condition.type === "Ready")?.status === "True";
  if (ready && lasting.length === 0) return undefined;
  const message = waiting.length > 0 ? `starting: ${waiting.join(", ")}` : "the pod is starting";
  return { reason: "PodPending", message };
}

/**
 * Volumes and network come first; what was wrong with them is past once a container has been
 * started.
 */
function isBeforeContainers({ status = {} }: LivePod): boolean {
  const started = status.conditions?.find(({ type }) => type === "PodReadyToStartContainers");
  if (started?.status === "True") return false;
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all.every(({ state, lastState }) => !state?.running && !state?.terminated && !lastState?.terminated);
}

function containerProblem(pod: LivePod, container: ContainerStatus): Problem | undefined {
  const waiting = container.state?.waiting;
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const image = containers.find(({ name }) => name === container.name)?.image ?? "its image";
  if (waiting?.reason && imageReasons.includes(waiting.reason))
    return {
      reason: "ImageUnavailable",
      message: `container ${container.name}: ${image} can't be pulled: ${pullCause(waiting.message, waiting.reason)}`,
    };

  const restore = restoreProblem(pod, container);
  if (restore) return restore;
  const ended = container.state?.terminated ?? container.lastState?.terminated;
  if (ended && (ended.exitCode !== 0 || (container.restartCount ?? 0) > 0)) {
    const { namespace, name } = pod.metadata;
    const cause =
      ended.reason === "OOMKilled"
        ? "ran out of memory (raise spec.resources)"
        : `ended with exit code ${ended.exitCode}`;
    return {
      reason: "PodFailing",
      message: `container ${container.name} ${cause}; see kubectl logs -n ${namespace} ${name} -c ${container.name} --previous`,
    };
  }
  if (waiting?.reason && !onTheWay.includes(waiting.reason) && waiting.reason !== "CrashLoopBackOff")
    return {
      reason: "PodFailing",
      message: `container ${container.name}: ${waiting.reason}: ${waiting.message ?? ""}`.trim(),
    };
  return undefined;
}

/**
 * The kubelet says the same cause in two ways by turns; here it is one text, so that the status
 * does not flicker.
 */
function pullCause(message: string | undefined, reason: string): string {
  const cause = (message ?? "").replace(/^Back-off pulling image "[^"]*"(: \w+)?(: )?/, "");
  return cause === "" ? reason.replace("ImagePullBackOff", "ErrImagePull") : cause;
}
