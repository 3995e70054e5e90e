/** Where a pod may run. */
import * as z from "zod";
import { anyObject, entries, objectName } from "../schema.ts";

const labelValue = z.string().max(63);

const Toleration = z.object({
  key: z.string().max(317).optional().describe("Key of the taint. Empty with operator Exists: all taints."),
  operator: z
    .enum(["Exists", "Equal"])
    .optional()
    .describe("Equal (default): the value must be the same. Exists: any value."),
  value: labelValue.optional().describe("Value of the taint."),
  effect: z
    .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])
    .optional()
    .describe("Effect of the taint. Default: all effects."),
  tolerationSeconds: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe("Seconds that the pod stays on a node with a NoExecute taint. Default: forever."),
});

export const Scheduling = z
  .object({
    nodeSelector: entries({ atMost: 50, valueMaxLength: 63 }).optional().describe("Labels that a node must have."),
    tolerations: z.array(Toleration).max(50).optional().describe("Taints the pod tolerates."),
    affinity: anyObject()
      .optional()
      .describe(
        "Affinity of the relay pod, as in a pod's spec. The expiry job follows the relay pod. The cluster judges it when the pod is applied.",
      ),
    runtimeClassName: objectName("runtimeClassName").optional().describe("RuntimeClass of the pod, such as gvisor."),
    priorityClassName: objectName("priorityClassName").optional().describe("PriorityClass of the pod."),
  })
  .describe("Where the relay pod may run.");
