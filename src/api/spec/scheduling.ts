/** Where a pod may run. */
import { z } from "zod";
import { entries, objectName } from "../schema.ts";

const labelValue = z.string().max(63);

const Toleration = z.strictObject({
  key: z.string().max(317).optional().describe("The taint's key; empty with Exists: all taints."),
  operator: z
    .enum(["Exists", "Equal"])
    .optional()
    .describe("Equal, without it: the value must be the same. Exists: any value."),
  value: labelValue.optional().describe("The taint's value."),
  effect: z
    .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])
    .optional()
    .describe("The taint's effect; without it all effects."),
  tolerationSeconds: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe("How long the pod stays once a NoExecute taint is there, in seconds; without it for ever."),
});

export const Scheduling = z
  .strictObject({
    nodeSelector: entries({ atMost: 50, valueMaxLength: 63 }).optional().describe("Labels a node must have."),
    tolerations: z.array(Toleration).max(50).optional().describe("Taints the pod tolerates."),
    priorityClassName: objectName("priorityClassName").optional().describe("PriorityClass of the pod."),
  })
  .describe("Where the relay pod may run.");
