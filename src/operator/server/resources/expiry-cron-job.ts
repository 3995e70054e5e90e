import { childNames } from "../../../api/names.ts";
import type { CronJob } from "../../../kube/kinds.ts";
import { expiryContainer } from "../../../pod/containers.ts";
import { expiryTime } from "../expiry-time.ts";
import { childLabels, childMeta, selectorLabels } from "./child.ts";
import { containerOf, type PodPlan, podBasics, podMeta, podSecurity, volumesFor } from "./pod.ts";

/** A run that takes longer is stuck: the next one begins where it left off. */
const longestSeconds = 6 * 3_600;

/** The daily clean-up, on the node of the relay pod: the volume can be mounted on one node only. */
export function expiryCronJob(plan: PodPlan): CronJob {
  const { server } = plan;
  const { hour, minute } = expiryTime(server);
  return {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: childMeta(server, childNames(server.metadata.name).expiryCronJob, "expiry"),
    spec: {
      schedule: `${minute} ${hour} * * *`,
      timeZone: "Etc/UTC",
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: 3_600,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 1,
      jobTemplate: {
        metadata: { labels: childLabels(server, "expiry") },
        spec: {
          backoffLimit: 2,
          activeDeadlineSeconds: longestSeconds,
          template: {
            metadata: podMeta(server, "expiry"),
            spec: {
              ...podBasics(server),
              restartPolicy: "Never",
              securityContext: { ...podSecurity },
              affinity: {
                podAffinity: {
                  requiredDuringSchedulingIgnoredDuringExecution: [
                    {
                      topologyKey: "kubernetes.io/hostname",
                      labelSelector: { matchLabels: selectorLabels(server, "relay") },
                    },
                  ],
                },
              },
              containers: [containerOf(expiryContainer, plan)],
              volumes: volumesFor([expiryContainer], plan),
            },
          },
        },
      },
    },
  };
}
