/**
 * What NetworkPolicies mean, by the documentation of networking.k8s.io/v1 and not by how ours are
 * made: a pod that no policy selects is open; a selected one takes what a rule of any policy
 * allows. A rule without `from` or `to` is for all peers, without `ports` for all ports; a peer of
 * podSelector alone is in the policy's own namespace; ipBlocks are for addresses outside of the
 * cluster and for pods alike.
 */
import { BlockList, isIP } from "node:net";

type Labels = Readonly<Record<string, string>>;

export interface Pod {
  namespace: string;
  labels: Labels;
  namespaceLabels?: Labels;
  address?: string;
}

interface Peer {
  ipBlock?: { cidr: string; except?: string[] };
  podSelector?: { matchLabels?: Labels };
  namespaceSelector?: { matchLabels?: Labels };
}

interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports?: { protocol?: string; port?: number; endPort?: number }[];
}

export interface NetworkPolicy {
  metadata: { namespace?: string };
  spec: {
    podSelector: {
      matchLabels?: Labels;
      matchExpressions?: readonly { key: string; operator: string; values?: readonly string[] }[];
    };
    policyTypes: readonly string[];
    ingress?: Rule[];
    egress?: Rule[];
  };
}

/** Of a connection; `peer` is a pod or an address outside. */
export interface Connection {
  direction: "Ingress" | "Egress";
  pod: Pod;
  peer: Pod | string;
  protocol?: "TCP" | "UDP";
  port: number;
}

export function isAllowed(policies: readonly NetworkPolicy[], connection: Connection): boolean {
  const { direction, pod, peer, port, protocol = "TCP" } = connection;
  const about = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.namespace &&
      spec.policyTypes.includes(direction) &&
      isSelected(pod.labels, spec.podSelector),
  );
  if (about.length === 0) return true;
  return about.some(({ metadata, spec }) =>
    ((direction === "Ingress" ? spec.ingress : spec.egress) ?? []).some((rule) => {
      const peers = direction === "Ingress" ? rule.from : rule.to;
      const onPort =
        rule.ports?.some(
          (each) =>
            (each.protocol ?? "TCP") === protocol &&
            (each.port === undefined || (port >= each.port && port <= (each.endPort ?? each.port))),
        ) ?? true;
      return onPort && (peers?.some((each) => isPeer(each, peer, metadata.namespace)) ?? true);
    }),
  );
}

function isPeer({ ipBlock, podSelector, namespaceSelector }: Peer, peer: Pod | string, own: string | undefined) {
  if (ipBlock) {
    const address = typeof peer === "string" ? peer : peer.address;
    if (address === undefined || !isIn(address, ipBlock.cidr)) return false;
    return !(ipBlock.except ?? []).some((range) => isIn(address, range));
  }
  if (typeof peer === "string") return false;
  const inNamespace = namespaceSelector
    ? hasLabels(
        { "kubernetes.io/metadata.name": peer.namespace, ...peer.namespaceLabels },
        namespaceSelector.matchLabels,
      )
    : peer.namespace === own;
  return inNamespace && hasLabels(peer.labels, podSelector?.matchLabels);
}

function isSelected(labels: Labels, { matchLabels, matchExpressions = [] }: NetworkPolicy["spec"]["podSelector"]) {
  const isOneOf = ({ key, operator, values }: (typeof matchExpressions)[number]) => {
    if (operator !== "In") throw new Error(`no policy of ours selects by ${operator}`);
    return values?.includes(labels[key] ?? "") ?? false;
  };
  return hasLabels(labels, matchLabels) && matchExpressions.every(isOneOf);
}

const hasLabels = (labels: Labels, wanted: Labels = {}) =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value);

function isIn(address: string, range: string): boolean {
  const [network = "", bits = ""] = range.split("/");
  if (isIP(address) !== isIP(network)) return false;
  const family = isIP(network) === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, family);
}
