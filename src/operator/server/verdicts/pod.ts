import { missingPod } from "../cluster-words.ts";
import { isLost } from "../losses.ts";
import { podProblem } from "../pod-problem.ts";
import { podWaitsFor } from "../pod-waits.ts";
import { type Check, isAtRest, notCreated } from "./check.ts";

export const podIsReady: Check = (seen, server, now) => {
  const { pod, podEvent, setEvent, statefulSet, volumeClaim: claim } = seen;
  if (pod) return podProblem(pod, { now, event: podEvent, claim });
  if (!statefulSet && isAtRest(server)) return notCreated(server, "relay pod");
  if (isLost("volume", server, seen))
    return { reason: "PodMissing", message: "no relay pod is started while its volume is lost" };
  const waits = podWaitsFor(server, seen);
  if (!statefulSet && waits.length > 0)
    return { reason: "PodMissing", message: `the relay pod is created when it has what it needs: ${waits.join("; ")}` };
  return setEvent ? missingPod(setEvent) : { reason: "PodMissing", message: "the relay pod is about to be created" };
};

export const podIsCurrent: Check = ({ statefulSet }) => {
  const { status, metadata } = statefulSet ?? { metadata: { generation: 0 } };
  const current =
    status?.observedGeneration === metadata.generation && status?.currentRevision === status?.updateRevision;
  return current
    ? undefined
    : { reason: "Progressing", message: "the relay pod is being replaced to apply new settings" };
};
