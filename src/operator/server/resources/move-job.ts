/** Copies the volume to another claim, once while the relay runs and once while it does not. */
import { annotations } from "../../../api/names.ts";
import type { Job } from "../../../kube/kinds.ts";
import { type MovePass, moveContainer, moveHasNoHope } from "../../../pod/containers.ts";
import { childMeta } from "./child.ts";
import { jobPod } from "./job-pod.ts";
import type { PodPlan } from "./pod.ts";

export function moveJob(plan: PodPlan, { name, pass, wish }: { name: string; pass: MovePass; wish: string }): Job {
  const { server } = plan;
  const template = jobPod(plan, "move", [moveContainer(pass)], { besideRelay: pass === "first" });
  const { seccompProfile } = template.spec?.securityContext ?? {};
  const metadata = childMeta(server, name, "move");
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { ...metadata, annotations: { [annotations.moveVolume]: wish } },
    spec: {
      backoffLimit: 5,
      podFailurePolicy: {
        rules: [
          { action: "FailJob", onExitCodes: { containerName: "move", operator: "In", values: [moveHasNoHope] } },
          // a node that is drained is no failure of the copy
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: {
        ...template,
        // owners and modes are those of the volume that is copied: the kubelet changes none
        spec: {
          ...template.spec,
          containers: template.spec?.containers ?? [],
          securityContext: { ...(seccompProfile && { seccompProfile }) },
        },
      },
    },
  };
}
