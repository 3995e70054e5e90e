/**
 * What `kubectl apply -f` and the chart install, but for the CRD. Pure; the chart's rules are
 * generated from here.
 */
import type { V1ClusterRole, V1Deployment, V1Role, V1RoleBinding, V1ServiceAccount } from "@kubernetes/client-node";
import { type Kind, kinds } from "../api/kinds.ts";
import { chatmailServer, group } from "../api/names.ts";
import type { Typed } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/object.ts";
import { dnsEndpoints } from "./external-dns.ts";
import { ingressRoutes, ingressRoutesTcp } from "./traefik.ts";

export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

const read = ["get", "list", "watch"];
/** Server-side apply asks for both: create for a new object, patch for a change. */
const apply = ["create", "patch"];

/** For objects of our own kinds. */
export const rulesFor = (of: readonly Pick<Kind, "plural">[]): PolicyRule[] => [
  // Patched: the finalizer of its deletion, and nothing else.
  { apiGroups: [group], resources: of.map(({ plural }) => plural), verbs: [...read, "patch"] },
  { apiGroups: [group], resources: of.map(({ plural }) => `${plural}/status`), verbs: ["patch"] },
  // Where the API server asks who may block the deletion of an owner.
  { apiGroups: [group], resources: of.map(({ plural }) => `${plural}/finalizers`), verbs: ["update"] },
];

/** In each watched namespace. Nothing is ever deleted by the operator: owner references do that. */
export const watchRules: PolicyRule[] = [
  ...rulesFor(kinds),
  // Those that a fleet lists.
  { apiGroups: [group], resources: [chatmailServer.plural], verbs: apply },
  {
    apiGroups: [""],
    resources: ["configmaps", "secrets", "services", "persistentvolumeclaims"],
    verbs: [...read, ...apply],
  },
  { apiGroups: ["apps"], resources: ["statefulsets"], verbs: [...read, ...apply] },
  { apiGroups: ["batch"], resources: ["cronjobs"], verbs: [...read, ...apply] },
  { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: [...read, ...apply] },
  // Patched: an annotation, so that the kubelet brings what the pod mounts up to date. Created: as
  // a dry run alone, to see whether the pod that would replace a running one is taken.
  { apiGroups: [""], resources: ["pods"], verbs: [...read, ...apply] },
  // Another image is checked before it replaces one that runs; a check that is no longer needed is
  // given a time to live of zero. The mail of a deleted server whose accounts are kept is deleted.
  { apiGroups: ["batch"], resources: ["jobs"], verbs: [...read, ...apply] },
  // What external-dns is to publish. Read by name, as the cluster may lack the kind.
  { apiGroups: [dnsEndpoints.group], resources: [dnsEndpoints.plural], verbs: ["get", ...apply] },
  // How Traefik passes the ports 80 and 443 on. Read by name, as the cluster may lack the kinds.
  {
    apiGroups: [ingressRoutes.group],
    resources: [ingressRoutes.plural, ingressRoutesTcp.plural],
    verbs: ["get", ...apply],
  },
  // Whether it is being deleted.
  { apiGroups: [""], resources: ["namespaces"], verbs: ["get"] },
  // Asked for certificates, where the cluster has it: the operator reads what became of it.
  { apiGroups: ["cert-manager.io"], resources: ["certificates"], verbs: ["get", "list", ...apply] },
  // With which account it orders. ClusterIssuers, with rights in the whole cluster alone.
  { apiGroups: ["cert-manager.io"], resources: ["issuers", "clusterissuers"], verbs: ["get"] },
  // Which operator looks after the namespace.
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] },
  // Why a claim is not bound or a pod not made.
  { apiGroups: [""], resources: ["events"], verbs: ["list", "watch"] },
  // What became of a server, for kubectl describe.
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: apply },
];

/** In the operator's own namespace: who leads. */
export const ownRules: PolicyRule[] = [
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] },
];

/**
 * What people may do with objects of our kinds who may view, or edit, the other objects of their
 * namespace: Kubernetes adds these rules to its own roles of these names, and those of edit to
 * admin.
 */
export const userRules = {
  view: [{ apiGroups: [group], resources: kinds.map(({ plural }) => plural), verbs: read }],
  edit: [
    {
      apiGroups: [group],
      resources: kinds.map(({ plural }) => plural),
      verbs: ["create", "update", "patch", "delete", "deletecollection"],
    },
  ],
} satisfies Record<string, PolicyRule[]>;

export interface InstallOptions {
  namespace: string;
  operatorImage: string;
  relayImage: string;
  version: string;
}

const name = "chatmail-operator";

/**
 * The operator in one namespace, looking after its own: no field names the namespace but
 * `namespace`, so that kustomize can set another. In the order of `kubectl apply`.
 */
export function installManifests(options: InstallOptions): KubeObject[] {
  const { namespace, operatorImage, relayImage, version } = options;
  const selector = { "app.kubernetes.io/name": name, "app.kubernetes.io/instance": name };
  const labels = { ...selector, "app.kubernetes.io/version": version };
  const metadata = (suffix = "") => ({ name: `${name}${suffix}`, namespace, labels });
  const rbac = "rbac.authorization.k8s.io";
  const bound = (suffix: string): Typed<V1RoleBinding> => ({
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: metadata(suffix),
    roleRef: { apiGroup: rbac, kind: "Role", name: `${name}${suffix}` },
    subjects: [{ kind: "ServiceAccount", name, namespace }],
  });
  const role = (suffix: string, rules: PolicyRule[]): Typed<V1Role> => ({
    apiVersion: `${rbac}/v1`,
    kind: "Role",
    metadata: metadata(suffix),
    rules,
  });
  const forUsers = Object.entries(userRules).map(
    ([verb, rules]): Typed<V1ClusterRole> => ({
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRole",
      metadata: { name: `${name}-${verb}`, labels: { ...labels, [`${rbac}/aggregate-to-${verb}`]: "true" } },
      rules,
    }),
  );
  const account: Typed<V1ServiceAccount> = { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata() };
  const deployment: Typed<V1Deployment> = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(),
    spec: {
      replicas: 1,
      selector: { matchLabels: selector },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 15,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            runAsGroup: 65532,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [
            {
              name: "operator",
              image: operatorImage,
              imagePullPolicy: "IfNotPresent",
              env: [
                { name: "RELAY_IMAGE", value: relayImage },
                { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
                { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
                { name: "LEASE_NAME", value: name },
                { name: "LOG_LEVEL", value: "info" },
              ],
              ports: [{ name: "health", containerPort: 8081, protocol: "TCP" }],
              livenessProbe: { httpGet: { path: "/healthz", port: "health" }, periodSeconds: 20 },
              readinessProbe: { httpGet: { path: "/readyz", port: "health" }, periodSeconds: 5 },
              resources: { requests: { cpu: "10m", memory: "96Mi" }, limits: { memory: "256Mi" } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"] },
              },
            },
          ],
        },
      },
    },
  };
  return [
    ...forUsers,
    account,
    role("", watchRules),
    bound(""),
    role("-leader", ownRules),
    bound("-leader"),
    deployment,
  ];
}
