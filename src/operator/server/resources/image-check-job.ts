/**
 * A pod beside the relay pod, on its node: pulls another image and lets it check the present plan.
 * Its name says which image is checked with which plan, so the job remembers what came of it.
 */
import { createHash } from "node:crypto";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { canonical } from "../../../kube/fields.ts";
import type { Job } from "../../../kube/kinds.ts";
import { checkContainers, podSysctls } from "../../../pod/containers.ts";
import { type Component, childMeta } from "./child.ts";
import { containerOf, type PodPlan, podBasics, podMeta, podSecurity, volumesFor } from "./pod.ts";

export const checkComponent: Component = "check";

/** One container runs at a time. Small, so that a full node or namespace has room for it. */
const smallResources = { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "256Mi" } };

export function imageCheckJob(of: {
  server: ChatmailServer;
  image: string;
  /** Digest of the plan in the ConfigMap. */
  planHash: string;
  /** Of the relay pod: where its volume is, and where the image has to be. */
  nodeName: string;
}): Job {
  const { server, image, planHash, nodeName } = of;
  const containers = checkContainers(planHash);
  const plan: PodPlan = { server, image, tlsSecretName: "", secretsHash: "", extras: {} };
  // it must not take the place of other pods
  const { priorityClassName: _, ...basics } = podBasics(server);
  const checks = containers.map((container) => ({
    ...containerOf(container, plan),
    resources: smallResources,
    terminationMessagePolicy: "FallbackToLogsOnError",
  }));
  const template = {
    metadata: podMeta(server, checkComponent),
    spec: {
      ...basics,
      restartPolicy: "Never",
      securityContext: {
        ...podSecurity,
        sysctls: Object.entries(podSysctls).map(([name, value]) => ({ name, value })),
      },
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [nodeName] }] }],
          },
        },
      },
      initContainers: checks.slice(0, -1),
      containers: checks.slice(-1),
      volumes: volumesFor(containers, plan),
    },
  };
  const digest = createHash("sha256").update(canonical(template)).digest("hex").slice(0, 10);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: childMeta(server, `${childNames(server.metadata.name).imageCheckJob}${digest}`, checkComponent),
    spec: { backoffLimit: 0, template },
  };
}
