import { eraseJobName } from "../../../api/names.ts";
import type { Job } from "../../../kube/kinds.ts";
import { eraseContainers } from "../../../pod/containers.ts";
import { childLabels } from "./child.ts";
import { jobPod } from "./job-pod.ts";
import type { PodPlan } from "./pod.ts";

/** What takes longer does not end by itself. */
const longestSeconds = 3_600;
/**
 * So long the operator can see what came of it. Even a pod that has ended keeps its claim from
 * being deleted.
 */
const keptSeconds = 30;

/**
 * Deletes the mail of a server that is being deleted. Nobody owns it: it goes on when the server is
 * gone, and the cluster removes it some time after it has ended.
 */
export function eraseJob(plan: PodPlan): Job {
  const { server } = plan;
  const { namespace } = server.metadata;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: eraseJobName(server.metadata), namespace, labels: childLabels(server, "expiry") },
    spec: {
      backoffLimit: 3,
      activeDeadlineSeconds: longestSeconds,
      ttlSecondsAfterFinished: keptSeconds,
      template: jobPod(plan, "expiry", eraseContainers),
    },
  };
}
