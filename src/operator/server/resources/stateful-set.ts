import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { annotations, childNames } from "../../../api/names.ts";
import type { StatefulSet } from "../../../kube/kinds.ts";
import {
  importContainer,
  podSysctls,
  prepareContainer,
  type RelayContainer,
  relayContainers,
  restoreContainer,
  terminationGraceSeconds,
  validatingDnsOptions,
} from "../../../pod/containers.ts";
import type { PodTemplate } from "../revision.ts";
import { hasOwnAuthority, placeArguments, s3Environment } from "./backup-store.ts";
import { childMeta, selectorLabels } from "./child.ts";
import { containerOf, type PodPlan, type PodSpec, podBasics, podMeta, podSecurity, volumesFor } from "./pod.ts";

/** Of the relay pod. */
export function podTemplate(plan: PodPlan): PodTemplate {
  const { server, secretsHash } = plan;
  const containers = relayContainers(plan.extras);
  const first = [prepareContainer, ...restoring(server)];
  return {
    metadata: podMeta(server, "relay", { [annotations.secretsHash]: secretsHash }),
    spec: {
      ...podBasics(server),
      ...dnsOf(server),
      ...affinityOf(server),
      terminationGracePeriodSeconds: terminationGraceSeconds,
      securityContext: {
        ...podSecurity,
        sysctls: Object.entries(podSysctls).map(([name, value]) => ({ name, value })),
      },
      initContainers: first.map((container) => containerOf(container, plan)),
      containers: containers.map((container) => containerOf(container, plan)),
      volumes: volumesFor([...first, ...containers], plan),
    },
  };
}

/** The program finds out by itself whether there is anything to do. */
function restoring({ spec: { domain, bootstrap } }: ChatmailServer): RelayContainer[] {
  const { restore } = bootstrap ?? {};
  if (bootstrap?.import) return [importContainer(domain)];
  if (!restore) return [];
  const args = restore.upload
    ? ["--upload"]
    : [...placeArguments(restore, domain), ...(restore.name === undefined ? [] : ["--file", restore.name])];
  const options = {
    args,
    hasKey: !restore.upload,
    fromVolume: restore.volumeClaim !== undefined,
    ownAuthority: hasOwnAuthority(restore),
    ...(restore.s3 && { secretEnv: s3Environment(restore.s3) }),
  };
  return [restoreContainer(domain, options)];
}

/**
 * The relay pod. One, always: two Dovecots must never open the same mailbox. `rendered`: the
 * annotation that says where the template comes from.
 */
export function statefulSet(
  server: ChatmailServer,
  { template, rendered, replicas = 1 }: { template: PodTemplate; rendered: string; replicas?: 0 | 1 },
): StatefulSet {
  const names = childNames(server.metadata.name);
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { ...childMeta(server, names.statefulSet), annotations: { [annotations.rendered]: rendered } },
    spec: {
      replicas,
      serviceName: names.service,
      // With OrderedReady a pod that never became ready is not replaced by its cure (kubernetes
      // #67250).
      podManagementPolicy: "Parallel",
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorLabels(server, "relay") },
      template,
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
