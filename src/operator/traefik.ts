/** The kinds of Traefik, which a cluster may be without. Nothing of them is watched. */
import type { KubeObject, Resource } from "../kube/object.ts";

interface Route {
  match: string;
  services: readonly { name: string; port: number; proxyProtocol?: { version: 1 | 2 } }[];
}

/** TLS, by the name in it. */
export interface IngressRouteTcp extends KubeObject {
  spec: { entryPoints: readonly string[]; routes: readonly Route[]; tls: { passthrough: true } };
}

/** HTTP. */
export interface IngressRoute extends KubeObject {
  spec: { entryPoints: readonly string[]; routes: readonly (Route & { kind: "Rule" })[] };
}

const traefik = { group: "traefik.io", version: "v1alpha1" } as const;

export const ingressRoutesTcp = {
  ...traefik,
  kind: "IngressRouteTCP",
  plural: "ingressroutetcps",
} satisfies Resource<IngressRouteTcp>;

export const ingressRoutes = {
  ...traefik,
  kind: "IngressRoute",
  plural: "ingressroutes",
} satisfies Resource<IngressRoute>;
