/** How a relay is reached, and whom it reaches. */
import { z } from "zod";
import { onlyWhen, unchangedWhile, withRules } from "../rules.ts";
import { address, addressRange, entries, line } from "../schema.ts";

const annotationMap = entries({ atMost: 50, valueMaxLength: 1024 });

const ProxyProtocol = z
  .strictObject({
    trustedNetworks: z
      .array(addressRange("trustedNetworks"))
      .min(1)
      .max(16)
      .meta({ "x-kubernetes-list-type": "set" })
      .describe(
        "Where the load balancer connects from, such as 192.0.2.0/28. nginx takes nobody else's word for an address; Postfix can't tell, so see to it that only the load balancer reaches the ports.",
      ),
  })
  .describe(
    "The load balancer begins each connection to each port with a PROXY header (version 1 or 2), which says who the client is. Without this block headers are refused; with it, connections without one. Only the load balancer may reach the ports: to Postfix, whoever does can claim any address.",
  );

const labelMap = entries({ atMost: 16, valueMaxLength: 63 });

const NetworkPolicy = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        "Whether a NetworkPolicy is made for the pods. It has an effect where the cluster's network enforces such policies.",
      ),
    metricsFrom: z
      .strictObject({
        namespaceLabels: labelMap
          .optional()
          .describe(
            "Labels of their namespace, such as kubernetes.io/metadata.name: monitoring; without it the relay's own namespace.",
          ),
        podLabels: labelMap.optional().describe("Labels of the pods; without it all pods there."),
      })
      .optional()
      .describe(
        "Which pods may read health and metrics (port 9090), beside those of the operator's namespace. Without it no others.",
      ),
  })
  .describe(
    "Who may connect to the relay pod, and whom it may connect to: everybody to the served ports; from the pod DNS, ports 25 and 443, the push service and, with TURN, UDP, each to other relays and to addresses that are neither special-purpose (RFC 6890) nor in refusedPeers, or are in privatePeers.",
  );

export const Network = withRules(
  z.strictObject({
    exposure: z
      .enum(["LoadBalancer", "NodePort", "HostPort"])
      .default("LoadBalancer")
      .describe(
        "How clients and other relays reach the relay: a LoadBalancer Service, node ports, or the standard ports of the pod's node.",
      ),
    ipFamilyPolicy: z
      .enum(["SingleStack", "PreferDualStack", "RequireDualStack"])
      .default("PreferDualStack")
      .describe("Address families of the Service, as in a Service's own ipFamilyPolicy."),
    annotations: annotationMap.optional().describe("Annotations for the Service, such as those a load balancer reads."),
    loadBalancerClass: line({ maxLength: 253 })
      .optional()
      .describe("Which load balancer implementation serves it; without it the cluster's default."),
    validatingResolvers: z
      .array(address("validatingResolvers"))
      .min(1)
      .max(3)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe(
        "Addresses of up to three resolvers that validate DNSSEC, on a path that nobody can tamper with. The pod asks them instead of the cluster's DNS, and verifies other mail servers by DANE where they publish it.",
      ),
    proxyProtocol: ProxyProtocol.optional(),
    policy: NetworkPolicy.prefault({}),
    connectionsPerClient: z
      .int()
      .min(50)
      .max(100_000)
      .default(1_500)
      .describe(
        "Connections to the ports 80, 143, 443, 465 and 993, all together, that one client may have at the same time: an IPv4 address, or the /64 of an IPv6 one. Everybody behind one NAT is one client; a phone has one to three connections.",
      ),
    privatePeers: z
      .array(addressRange("privatePeers"))
      .max(32)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        "Private and other special-purpose networks (RFC 6890) that the relay may connect to, such as 10.20.0.0/16 for mail servers of one's own. To every other such address it sends no mail, makes no request and no push; so nobody can reach the cluster's own network by way of the relay.",
      ),
    refusedPeers: z
      .array(addressRange("refusedPeers"))
      .max(32)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        "Networks that the relay may not connect to although their addresses are global, such as the cluster's own pods and Services where these have global addresses.",
      ),
  }),
  onlyWhen("loadBalancerClass", "exposure", "LoadBalancer"),
  unchangedWhile("loadBalancerClass", "exposure", "LoadBalancer"),
).describe("How the relay is reached.");
