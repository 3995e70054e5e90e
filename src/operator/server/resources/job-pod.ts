/** What all jobs of a server have in common: a pod with programs of the relay image. */
import type { CronJob, Job } from "../../../kube/kinds.ts";
import type { RelayContainer } from "../../../pod/containers.ts";
import { type Component, childLabels, childMeta, selectorLabels } from "./child.ts";
import { containerOf, type PodPlan, podBasics, podMeta, podSecurity, volumesFor } from "./pod.ts";

/** A run that takes longer is stuck. */
const longestSeconds = 6 * 3_600;

/** `besideRelay`: on the node of the relay pod; its volume can be mounted on one node only. */
export function jobPod(
  plan: PodPlan,
  component: Component,
  containers: readonly RelayContainer[],
  { besideRelay = false } = {},
): NonNullable<Job["spec"]>["template"] {
  const { server } = plan;
  const affinity = {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: selectorLabels(server, "relay") } },
      ],
    },
  };
  return {
    metadata: podMeta(server, component),
    spec: {
      ...podBasics(server),
      restartPolicy: "Never",
      securityContext: { ...podSecurity },
      ...(besideRelay && { affinity }),
      containers: containers.map((container) => containerOf(container, plan)),
      volumes: volumesFor(containers, plan),
    },
  };
}

interface JobOnSchedule {
  name: string;
  component: Component;
  /** As cron has it, in UTC. */
  schedule: string;
  container: RelayContainer;
  besideRelay?: boolean;
  suspend?: boolean;
}

export function cronJob(plan: PodPlan, { name, component, schedule, container, ...more }: JobOnSchedule): CronJob {
  const { besideRelay = false, suspend } = more;
  return {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: childMeta(plan.server, name, component),
    spec: {
      schedule,
      timeZone: "Etc/UTC",
      concurrencyPolicy: "Forbid",
      ...(suspend !== undefined && { suspend }),
      startingDeadlineSeconds: 3_600,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 1,
      jobTemplate: {
        metadata: { labels: childLabels(plan.server, component) },
        spec: {
          backoffLimit: 2,
          activeDeadlineSeconds: longestSeconds,
          template: jobPod(plan, component, [container], { besideRelay }),
        },
      },
    },
  };
}
