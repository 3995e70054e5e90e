import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { annotations, childNames } from "../../../api/names.ts";
import type { StatefulSet } from "../../../kube/kinds.ts";
import {
  podSysctls,
  prepareContainer,
  relayContainers,
  terminationGraceSeconds,
  validatingDnsOptions,
} from "../../../pod/containers.ts";
import { childMeta, selectorLabels } from "./child.ts";
import { secretsHash } from "./plan-config-map.ts";
import { containerOf, type PodPlan, type PodSpec, podBasics, podMeta, podSecurity, volumesFor } from "./pod.ts";

/** The relay pod. One, always: two Dovecots must never open the same mailbox. */
export function statefulSet(plan: PodPlan, { replicas = 1 }: { replicas?: 0 | 1 } = {}): StatefulSet {
  const { server, dkimKeyPem, turnSecret } = plan;
  const names = childNames(server.metadata.name);
  const containers = relayContainers(plan.extras);
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: childMeta(server, names.statefulSet),
    spec: {
      replicas,
      serviceName: names.service,
      // With OrderedReady a pod that never became ready is not replaced by its cure (kubernetes
      // #67250).
      podManagementPolicy: "Parallel",
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorLabels(server, "relay") },
      template: {
        metadata: podMeta(server, "relay", { [annotations.secretsHash]: secretsHash(dkimKeyPem, turnSecret) }),
        spec: {
          ...podBasics(server),
          ...dnsOf(server),
          ...affinityOf(server),
          terminationGracePeriodSeconds: terminationGraceSeconds,
          securityContext: {
            ...podSecurity,
            sysctls: Object.entries(podSysctls).map(([name, value]) => ({ name, value })),
          },
          initContainers: [containerOf(prepareContainer, plan)],
          containers: containers.map((container) => containerOf(container, plan)),
          volumes: volumesFor([prepareContainer, ...containers], plan),
        },
      },
    },
  };
}

/** As it is given: the cluster judges it. */
function affinityOf({ spec: { scheduling } }: ChatmailServer): Partial<PodSpec> {
  const { affinity } = scheduling;
  return affinity ? { affinity } : {};
}

/** Nothing in the pod asks for a name inside the cluster. */
function dnsOf(server: ChatmailServer): Partial<PodSpec> {
  const nameservers = server.spec.network.dnssecResolvers;
  if (!nameservers) return {};
  return { dnsPolicy: "None", dnsConfig: { nameservers, options: validatingDnsOptions.map((name) => ({ name })) } };
}
