/** How a relay is reached, and whom it reaches. */
import * as z from "zod";
import { neededWhen, onlyWhen, unchangedWhile, unusedWhen, withRules } from "../rules.ts";
import { address, addressRange, entries, line } from "../schema.ts";

const labelMap = entries({ atMost: 16, valueMaxLength: 63 });
const annotationMap = entries({ atMost: 50, valueMaxLength: 1024 });

const ProxyProtocol = z
  .object({
    trustedNetworks: z
      .array(addressRange("trustedNetworks"))
      .min(1)
      .max(16)
      .meta({ "x-kubernetes-list-type": "set" })
      .describe(
        "Networks from which the load balancer connects, such as 192.0.2.0/28. Only these may set the client address. Postfix cannot check this: restrict the ports with a firewall or NetworkPolicy.",
      ),
  })
  .describe(
    "The load balancer begins each connection with a PROXY header (version 1 or 2) that has the address of the client. With this block, connections without a header are refused; without it, headers are refused. Only the load balancer may reach the ports: everybody else could claim any address to Postfix.",
  );

const Web = withRules(
  z.object({
    mode: z
      .enum(["Direct", "Edge"])
      .default("Direct")
      .describe(
        "Who has the ports 80 and 443 of the node with exposure HostPort. Direct: the relay. Edge: a proxy that is there already, such as k3s's Traefik. It passes TLS for the relay's names to port 443 of its Service, each connection with a PROXY header (version 1 or 2), and HTTP to port 80, without one. Where the cluster has Traefik's kinds, the operator creates both routes.",
      ),
    trustedNetworks: z
      .array(addressRange("trustedNetworks"))
      .min(1)
      .max(16)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        "Networks from which the edge connects, usually those of the cluster's pods, such as 10.42.0.0/16. Only these may set the client address on port 443. Required with mode Edge.",
      ),
  }),
  neededWhen("trustedNetworks", "mode", "Edge"),
  onlyWhen("trustedNetworks", "mode", "Edge", "Direct"),
).describe("How HTTPS reaches the relay.");

const NetworkPolicy = z
  .object({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        "Whether the operator creates a NetworkPolicy for the pods. It has an effect only if the cluster's network enforces policies.",
      ),
    metricsFrom: z
      .object({
        namespaceLabels: labelMap
          .optional()
          .describe(
            "Labels of the namespace, such as kubernetes.io/metadata.name: monitoring. Default: the relay's own namespace.",
          ),
        podLabels: labelMap.optional().describe("Labels of the pods. Default: all pods in the namespace."),
      })
      .optional()
      .describe(
        "Pods that may read health and metrics (port 9090), in addition to those in the operator's namespace. Default: none.",
      ),
  })
  .describe(
    "NetworkPolicy of the pods. Incoming: everybody may connect to the served ports. Outgoing: DNS, ports 25 and 443, the push service and, with TURN, UDP; only to other relays, to addresses in privatePeers, and to addresses that are neither special-purpose (RFC 6890) nor in refusedPeers.",
  );

const nodePort = (of: string) =>
  z.int().min(1).max(65_535).optional().describe(`Node port of ${of}. Default: chosen by the cluster.`);

const NodePorts = z
  .object({
    smtp: nodePort("25, for other mail servers"),
    submission: nodePort("587"),
    submissions: nodePort("465"),
    imap: nodePort("143"),
    imaps: nodePort("993"),
    http: nodePort("80"),
    https: nodePort("443"),
    turn: nodePort("3478 (UDP), with TURN enabled"),
  })
  .describe(
    "Node ports of the Service, within the cluster's range (usually 30000 to 32767), for a router or load balancer that forwards to them. Each may be taken once in the cluster.",
  );

const Service = z
  .object({
    annotations: annotationMap.optional().describe("Annotations of the Service, for example for a load balancer."),
    labels: labelMap.optional().describe("Labels of the Service. The operator's own labels go before them."),
    loadBalancerClass: line({ maxLength: 253 })
      .optional()
      .describe("Load balancer implementation. Default: the cluster's."),
    loadBalancerSourceRanges: z
      .array(addressRange("loadBalancerSourceRanges"))
      .min(1)
      .max(32)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe(
        "Networks that may connect, if the load balancer can restrict them. Default: everybody. Other relays can't deliver from networks that are left out.",
      ),
    allocateNodePorts: z
      .boolean()
      .default(true)
      .describe(
        "Whether a Service with exposure LoadBalancer takes a node port for each port. false: for load balancers that reach the pods themselves.",
      ),
    nodePorts: NodePorts.optional(),
  })
  .describe("The Service through which the relay is reached.");

const Connections = z
  .object({
    imap: z
      .int()
      .min(10)
      .max(100_000)
      .default(10_000)
      .describe("Maximum number of simultaneous IMAP sessions that are not hibernated."),
    submission: z
      .int()
      .min(10)
      .max(10_000)
      .default(1_000)
      .describe(
        "Maximum number of simultaneous submission sessions on each of the ports 465 and 587. One client (an IPv4 address or an IPv6 /64) may have a third of them.",
      ),
    perClient: z
      .int()
      .min(50)
      .max(100_000)
      .default(1_500)
      .describe(
        "Maximum number of simultaneous connections of one client (an IPv4 address or an IPv6 /64) to the ports 80, 143, 443, 465 and 993 together. Everybody behind one NAT is one client; a phone has one to three connections.",
      ),
  })
  .describe("Limits of simultaneous connections.");

export const Network = withRules(
  z.object({
    exposure: z
      .enum(["LoadBalancer", "NodePort", "HostPort"])
      .default("LoadBalancer")
      .describe(
        "How clients and other relays reach the relay. LoadBalancer: a Service with an address of its own. NodePort: ports of all nodes. HostPort: the standard ports of the pod's node.",
      ),
    addresses: z
      .array(address("addresses"))
      .min(1)
      .max(8)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe(
        "IP addresses at which the relay is reached, where the cluster does not know them, such as a NAT's. The status, the DNS records and the TURN server use them. Default: the addresses of the load balancer, or of the pod's node.",
      ),
    ipFamilyPolicy: z
      .enum(["SingleStack", "PreferDualStack", "RequireDualStack"])
      .default("PreferDualStack")
      .describe("Address families of the Service (its ipFamilyPolicy)."),
    service: Service.prefault({}),
    dnssecResolvers: z
      .array(address("dnssecResolvers"))
      .min(1)
      .max(3)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe(
        "Addresses of up to three resolvers that validate DNSSEC, reached over a trusted network. The pod uses them instead of the cluster's DNS and verifies other mail servers by DANE if they publish it.",
      ),
    proxyProtocol: ProxyProtocol.optional(),
    web: Web.prefault({}),
    policy: NetworkPolicy.prefault({}),
    connections: Connections.prefault({}),
    privatePeers: z
      .array(addressRange("privatePeers"))
      .max(32)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        "Private and other special-purpose networks (RFC 6890) that the relay may connect to, such as 10.20.0.0/16 for your own mail servers. It sends no mail, request or push to any other such address, so nobody can reach the cluster's network through the relay.",
      ),
    refusedPeers: z
      .array(addressRange("refusedPeers"))
      .max(32)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        "Networks with public addresses that the relay must not connect to, such as pods and Services of the cluster that have public addresses.",
      ),
  }),
  onlyWhen("service.loadBalancerClass", "exposure", "LoadBalancer", "LoadBalancer"),
  onlyWhen("service.loadBalancerSourceRanges", "exposure", "LoadBalancer", "LoadBalancer"),
  unusedWhen("service.nodePorts", "exposure", "HostPort"),
  onlyWhen("web.trustedNetworks", "exposure", "HostPort", "LoadBalancer"),
  unchangedWhile("service.loadBalancerClass", "exposure", "LoadBalancer", "LoadBalancer"),
).describe("How the relay is reached.");
