/**
 * Who may connect to the pods of a server, and whom they may connect to, where the cluster's
 * network enforces it.
 */
import type { V1NetworkPolicyPeer, V1NetworkPolicyPort } from "@kubernetes/client-node";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames, labels } from "../../../api/names.ts";
import type { Json, NetworkPolicy } from "../../../kube/kinds.ts";
import type { KubeObject } from "../../../kube/object.ts";
import { ports } from "../../../mail/ports.ts";
import { peerBlocks } from "../../../pod/networks.ts";
import { s3Port } from "./backup-store.ts";
import { type Component, childMeta, selectorLabels } from "./child.ts";
import { servedPorts } from "./service.ts";

type Port = Json<V1NetworkPolicyPort>;
type Peer = Json<V1NetworkPolicyPeer>;
type Policy = NonNullable<NetworkPolicy["spec"]>;

/**
 * One for the relay pod, one for the pods of its clean-up, of image checks and of moves, and one
 * for those that make backups, where there are some. Off: none is
 * made, and those that exist select no pod, since the operator deletes nothing; one that allows
 * everything would undo the policies of others, because policies add up.
 */
export function networkPolicies(
  server: ChatmailServer,
  { operatorNamespace, existing }: { operatorNamespace: string; existing: readonly KubeObject[] },
): NetworkPolicy[] {
  const names = childNames(server.metadata.name);
  const { enabled } = server.spec.network.policy;
  const of = (
    name: string,
    [component, ...others]: readonly [Component, ...Component[]],
    rules: Pick<Policy, "ingress" | "egress">,
  ): NetworkPolicy => {
    const all = selectorLabels(server, component);
    const either = { key: labels.component, operator: "In", values: [component, ...others] };
    const selector: Policy["podSelector"] =
      others.length > 0
        ? { matchLabels: { [labels.server]: server.metadata.name }, matchExpressions: [either] }
        : { matchLabels: all };
    return {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: childMeta(server, name, component),
      spec: {
        podSelector: enabled ? selector : { matchLabels: { ...all, [labels.component]: "none" } },
        policyTypes: ["Ingress", "Egress"],
        ...(enabled && rules),
      },
    };
  };
  const isThere = (name: string) => existing.some((each) => each.metadata.name === name);
  const saves = server.spec.backup.destination !== undefined || isThere(names.backupNetworkPolicy);
  const policies = [
    of(names.networkPolicy, ["relay"], { ingress: ingressOf(server, operatorNamespace), egress: egressOf(server) }),
    // they work on the volume, and on nothing at all
    of(names.expiryNetworkPolicy, ["expiry", "check", "move"], {}),
    ...(saves ? [of(names.backupNetworkPolicy, ["backup", "drill"], backupRules(server))] : []),
  ];
  return enabled ? policies : policies.filter(({ metadata }) => isThere(metadata.name));
}

/** The store may be in the cluster, and a Service there may lead to another port of its pods. */
function backupRules({ spec: { backup } }: ChatmailServer): Pick<Policy, "egress"> {
  const { s3 } = backup.destination ?? {};
  if (!s3) return {};
  return { egress: [...dnsRules, { ports: tcp(s3Port(s3)) }, { to: [{ namespaceSelector: {} }] }] };
}

/** The cluster's DNS may be a Service, pods, or an address of the node. */
const dnsRules: NonNullable<Policy["egress"]> = [
  {
    ports: [
      { protocol: "UDP", port: 53 },
      { protocol: "TCP", port: 53 },
    ],
  },
  // Where DNS pods may not use port 53, as in OpenShift.
  {
    ports: [
      { protocol: "UDP", port: 5353 },
      { protocol: "TCP", port: 5353 },
    ],
    to: [{ namespaceSelector: {} }],
  },
];

const tcp = (...numbers: number[]): Port[] => numbers.map((port) => ({ protocol: "TCP", port }));

function ingressOf(server: ChatmailServer, operatorNamespace: string): NonNullable<Policy["ingress"]> {
  const { services, network } = server.spec;
  const { turn } = services;
  const monitoring = network.policy.metricsFrom;
  return [
    {
      ports: [
        ...tcp(...servedPorts.map((name) => ports[name])),
        ...(turn.enabled
          ? ([
              { protocol: "UDP", port: ports.turn },
              { protocol: "UDP", port: turn.firstRelayPort, endPort: turn.firstRelayPort + turn.relayPortCount - 1 },
            ] as const)
          : []),
      ],
    },
    {
      ports: tcp(ports.health),
      from: [
        { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": operatorNamespace } } },
        ...(monitoring
          ? [
              {
                ...(monitoring.namespaceLabels &&
                  ({ namespaceSelector: { matchLabels: monitoring.namespaceLabels } } satisfies Peer)),
                podSelector: monitoring.podLabels ? { matchLabels: monitoring.podLabels } : {},
              },
            ]
          : []),
      ],
    },
  ];
}

function egressOf({ spec: { services, network, bootstrap } }: ChatmailServer): NonNullable<Policy["egress"]> {
  const { push, turn } = services;
  const outside: Peer[] = peerBlocks({
    ...(network.privatePeers && { allowed: network.privatePeers }),
    ...(network.refusedPeers && { refused: network.refusedPeers }),
  }).map((ipBlock) => ({ ipBlock }));
  // An address that the cluster itself serves leads to the pod without leaving it, so the pod's own
  // address is what counts.
  const relays: Peer = {
    namespaceSelector: {},
    podSelector: { matchLabels: { [labels.component]: "relay" } },
  };
  const pushPort = Number(new URL(push.url).port || ports.https);
  return [
    ...dnsRules,
    { ports: tcp(ports.smtp, ports.https), to: [...outside, relays] },
    ...(push.enabled && pushPort !== ports.https ? [{ ports: tcp(pushPort), to: outside }] : []),
    ...(turn.enabled ? [{ ports: [{ protocol: "UDP" } as const], to: outside }] : []),
    ...(bootstrap?.restore?.s3 ? [{ ports: tcp(s3Port(bootstrap.restore.s3)) }] : []),
  ];
}
