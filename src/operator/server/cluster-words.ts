/** What Kubernetes says about pods, in plain words and with what to do. Pure. */
import type { Problem } from "../problem.ts";
import type { LiveEvent, LivePod, LiveVolumeClaim } from "./live.ts";

/** What Kubernetes said, and then what to do about it. */
const withCure = (said: string, cure: string) => `${said.replace(/[.\s]+$/, "")}. ${cure}`;

const refusals: readonly [said: RegExp, cure: string][] = [
  [/exceeded quota/, "The namespace's ResourceQuota leaves no room for the pod: raise it, or lower spec.resources"],
  [
    /violates PodSecurity/,
    "The namespace's Pod Security level forbids the pod: it has to be baseline, and privileged for the exposure HostPort (label pod-security.kubernetes.io/enforce)",
  ],
  [/no PriorityClass with name/, "Create it, or correct scheduling.priorityClassName"],
  [
    /(maximum|minimum) (cpu|memory)|LimitRange/,
    "The namespace's LimitRange forbids these resources: change it, or spec.resources",
  ],
  [/unsafe sysctl/, "The pod's sysctls are safe ones: a policy of the cluster has to allow them"],
  [/serviceaccount|service account/, "The ServiceAccount has to exist in the namespace"],
];

/** Why the API server does not take a pod. */
export function refusedPod(said: string): string {
  const cure = refusals.find(([pattern]) => pattern.test(said))?.[1];
  return cure ? withCure(said, cure) : said;
}

/** Why there is no pod, as an event of its StatefulSet has it. */
export function missingPod(said: string): Problem {
  if (!/forbidden|denied|is invalid/.test(said)) return { reason: "PodMissing", message: said };
  const cause = said.replace(/^create Pod \S+ in StatefulSet \S+ failed error: /, "");
  return { reason: "PodForbidden", message: `the cluster refuses the relay pod: ${refusedPod(cause)}` };
}

const schedulingCures: readonly [said: RegExp, cure: string][] = [
  [
    /volume node affinity conflict|PersistentVolume's node affinity/,
    "The volume can be used on its own node only, which can't run the pod: bring that node back, or make room on it",
  ],
  [/Insufficient (cpu|memory|ephemeral-storage)/, "Make room, add a node, or lower spec.resources"],
  [
    /free ports/,
    "Another pod has the ports of the node: a node can run one relay with the exposure HostPort. If it is an ingress controller on 80 and 443, such as k3s's Traefik, set network.web.mode to Edge",
  ],
  [/Pod's node affinity\/selector/, "See scheduling.nodeSelector"],
  [/untolerated taint/, "See scheduling.tolerations"],
];

/** Why no node runs the pod. */
export function unscheduledPod(said: string): string {
  const cures = schedulingCures.filter(([pattern]) => pattern.test(said)).map(([, cure]) => cure);
  return cures.length > 0 ? withCure(said, cures.join(". ")) : said;
}

/** Why a pod that has a node does not start, as its newest warning has it. */
export function startProblem(pod: LivePod, { reason, message = "" }: Pick<LiveEvent, "reason" | "message">): Problem {
  const said = message.trim();
  const node = pod.spec?.nodeName ?? "its node";
  if (reason === "FailedCreatePodSandBox" || reason === "NetworkNotReady")
    return {
      reason: "SandboxFailed",
      message: withCure(`node ${node} can't set up the pod: ${said}`, "Usually its network plugin (CNI) needs repair"),
    };
  if (reason !== "FailedMount" && reason !== "FailedAttachVolume" && reason !== "FailedMapVolume")
    return { reason: "PodPending", message: `${reason}: ${said}` };
  const [, kind, name] = /(secret|configmap) "([^"]+)" not found/i.exec(said) ?? [];
  if (kind && name) {
    const what = `${kind.toLowerCase() === "secret" ? "Secret" : "ConfigMap"} ${name}`;
    return { reason: "ReferenceMissing", message: `the pod waits for ${what}, which does not exist: create it` };
  }
  const [, key] = /references non-existent (?:secret|config) key: (\S+)/.exec(said) ?? [];
  if (key) {
    const [, volume = ""] = /volume "([^"]+)"/.exec(said) ?? [];
    return {
      reason: "ReferenceMissing",
      message: `the pod waits for the key ${key}, which what it mounts as ${volume} lacks`,
    };
  }
  if (/Multi-Attach/.test(said))
    return {
      reason: "VolumeUnavailable",
      message: withCure(
        `the volume is still attached to another node: ${said}`,
        "It is released when the pod there has ended; if that node is gone for good: kubectl taint node NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
      ),
    };
  return {
    reason: "VolumeUnavailable",
    message: withCure(`node ${node} can't mount a volume: ${said}`, "See the storage driver and the node"),
  };
}

/**
 * A terminating pod whose node has not confirmed its end within this time is not ending by itself.
 */
export const confirmedWithinMs = 60_000;

export function isOverdue({ metadata: { deletionTimestamp } }: LivePod, now: Date): boolean {
  return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + confirmedWithinMs <= now.getTime();
}

/**
 * Whether nothing is heard of the pod's node; the control plane marks its pods, and a pod that is
 * to end never does. Since when, if known.
 */
export function lostNode(pod: LivePod, now: Date): { since?: string | undefined } | undefined {
  const { status = {}, metadata } = pod;
  if (!pod.spec?.nodeName) return undefined;
  const condition = (type: string) => status.conditions?.find((each) => each.type === type);
  const ready = condition("Ready");
  // the node sets both at once; the control plane sets Ready alone
  if (ready?.status === "False" && condition("ContainersReady")?.status === "True" && status.phase === "Running")
    return { since: ready.lastTransitionTime };
  if (status.reason === "NodeLost" || status.phase === "Unknown") return { since: ready?.lastTransitionTime };
  const { deletionTimestamp } = metadata;
  // a node that has stopped the containers does answer
  if (isOverdue(pod, now) && condition("ContainersReady")?.status !== "False") return { since: deletionTimestamp };
  return undefined;
}

/**
 * The words for it. Nothing is deleted by force: two Dovecots must never open the same mailboxes.
 */
export function nodeLost(pod: LivePod, since: string | undefined, claim: LiveVolumeClaim | undefined): Problem {
  const node = pod.spec?.nodeName ?? "";
  const local = localVolume(claim);
  const message = [
    `node ${node} does not answer${since ? ` since ${since}` : ""}, and the relay is not started elsewhere, because two must never use the same mailboxes.`,
    "When the node is back, it goes on by itself.",
    `If the node is switched off for good: kubectl taint node ${node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`,
    ...(local ? [`(the mailboxes are on that node alone: ${local})`] : []),
  ].join(" ");
  return { reason: "NodeLost", message };
}

/** Provisioners whose volumes are folders or disks of one node. */
const localProvisioners =
  /^(rancher\.io\/local-path|openebs\.io\/local|(local|zfs|lvm)\.csi\.openebs\.io|topolvm(\.cybozu\.com|\.io)|microk8s\.io\/hostpath|k8s\.io\/minikube-hostpath|docker\.io\/hostpath|hostpath\.csi\.k8s\.io|kubernetes\.io\/(host-path|no-provisioner))$/;

/** Where a volume can be used on one node only: which provisioner and which node, in words. */
export function localVolume(claim: LiveVolumeClaim | undefined): string | undefined {
  const annotations = claim?.metadata.annotations ?? {};
  const provisioner = annotations["volume.kubernetes.io/storage-provisioner"] ?? "";
  if (!localProvisioners.test(provisioner)) return undefined;
  const node = annotations["volume.kubernetes.io/selected-node"];
  return node ? `${provisioner} on node ${node}` : provisioner;
}
