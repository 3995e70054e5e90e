import type { V1ServicePort } from "@kubernetes/client-node";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { Json, Service } from "../../../kube/kinds.ts";
import { ports } from "../../../mail/ports.ts";
import { turnPlanOf } from "../../../pod/plan-of.ts";
import { relayPortsOf } from "../../../pod/turn.ts";
import { childMeta, selectorLabels } from "./child.ts";

/** What the outside may reach. */
export const servedPorts = ["smtp", "submission", "submissions", "imap", "imaps", "http", "https"] as const;

/**
 * Where clients and other relays connect. Keeps the client's address, or every sender would look
 * local.
 */
export function mailService(server: ChatmailServer): Service {
  const { network } = server.spec;
  const { annotations, labels, loadBalancerClass, loadBalancerSourceRanges, allocateNodePorts } = network.service;
  const meta = childMeta(server, childNames(server.metadata.name).service);
  const outside = network.exposure !== "HostPort";
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      ...meta,
      labels: { ...labels, ...meta.labels },
      ...(annotations && { annotations }),
    },
    spec: {
      type: outside ? network.exposure : "ClusterIP",
      ...(outside && ({ externalTrafficPolicy: "Local" } satisfies Service["spec"])),
      ...(loadBalancerClass !== undefined && ({ loadBalancerClass } satisfies Service["spec"])),
      ...(loadBalancerSourceRanges && ({ loadBalancerSourceRanges } satisfies Service["spec"])),
      ...(network.exposure === "LoadBalancer" &&
        !allocateNodePorts &&
        ({ allocateLoadBalancerNodePorts: false } satisfies Service["spec"])),
      ipFamilyPolicy: network.ipFamilyPolicy,
      selector: selectorLabels(server, "relay"),
      ports: [
        ...servedPorts.map((name) => ({
          name,
          port: ports[name],
          targetPort: name,
          protocol: "TCP",
          ...nodePortOf(server, name),
        })),
        ...turnPorts(server),
      ],
    },
  };
}

/**
 * The ports that calls pass through keep their numbers on the way, or they are of no use: node
 * ports can't.
 */
function turnPorts({ spec }: ChatmailServer): Json<V1ServicePort>[] {
  const { services, network } = spec;
  if (!services.turn.enabled) return [];
  const relayed = network.exposure === "LoadBalancer" ? relayPortsOf(turnPlanOf(services.turn)) : [];
  return [
    { name: "turn", port: ports.turn, targetPort: "turn", protocol: "UDP", ...nodePortOf({ spec }, "turn") },
    ...relayed.map((port) => ({ name: `turn-${port}`, port, targetPort: port, protocol: "UDP" })),
  ];
}

/** Where none is given, the one that the cluster has chosen stays. */
function nodePortOf(
  { spec: { network } }: Pick<ChatmailServer, "spec">,
  name: (typeof servedPorts)[number] | "turn",
): Pick<V1ServicePort, "nodePort"> {
  const nodePort = network.exposure === "HostPort" ? undefined : network.service.nodePorts?.[name];
  return nodePort === undefined ? {} : { nodePort };
}
