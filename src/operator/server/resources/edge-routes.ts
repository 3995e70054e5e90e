/** How an edge that has the ports 80 and 443 of the node passes the relay's names on. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { isAddressLiteral } from "../../../api/domain.ts";
import { childNames } from "../../../api/names.ts";
import type { KubeObject, Resource } from "../../../kube/object.ts";
import { ports } from "../../../mail/ports.ts";
import { type IngressRoute, type IngressRouteTcp, ingressRoutes, ingressRoutesTcp } from "../../traefik.ts";
import { childMeta } from "./child.ts";

/** The ports that an edge has in the relay's place. */
const edgePorts = ["http", "https"] as const;
export const isEdgePort = (name: string): boolean => edgePorts.some((port) => port === name);

/** As k3s and the chart of Traefik call what listens on 80 and 443. */
const entryPoints = { http: "web", https: "websecure" } as const;

/** None where the relay has the ports itself, or has no name that a route could know it by. */
export function edgeRoutes(server: ChatmailServer): { resource: Resource; object: KubeObject }[] {
  const { domain, network } = server.spec;
  if (network.web.mode !== "Edge" || isAddressLiteral(domain)) return [];
  const { edgeRoute, service } = childNames(server.metadata.name);
  const names = [domain, `mta-sts.${domain}`, `www.${domain}`];
  const anyOf = (matcher: string) => names.map((name) => `${matcher}(\`${name}\`)`).join(" || ");
  const about = ({ group, version, kind }: Resource) => ({
    apiVersion: `${group}/${version}`,
    kind,
    metadata: childMeta(server, edgeRoute),
  });
  const tls: IngressRouteTcp = {
    ...about(ingressRoutesTcp),
    spec: {
      entryPoints: [entryPoints.https],
      routes: [
        {
          match: anyOf("HostSNI"),
          services: [{ name: service, port: ports.https, proxyProtocol: { version: 2 } }],
        },
      ],
      tls: { passthrough: true },
    },
  };
  const http: IngressRoute = {
    ...about(ingressRoutes),
    spec: {
      entryPoints: [entryPoints.http],
      routes: [{ kind: "Rule", match: anyOf("Host"), services: [{ name: service, port: ports.http }] }],
    },
  };
  return [
    { resource: ingressRoutesTcp, object: tls },
    { resource: ingressRoutes, object: http },
  ];
}
