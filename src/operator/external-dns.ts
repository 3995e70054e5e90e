/** The kind of external-dns, which a cluster may be without. Nothing of it is watched. */
import type { Endpoint } from "../dns/external-dns.ts";
import type { KubeObject, Resource } from "../kube/object.ts";
import type { Problem } from "./problem.ts";

export interface DnsEndpoint extends KubeObject {
  spec: { endpoints: readonly Endpoint[] };
}

export const dnsEndpoints: Resource<DnsEndpoint> = {
  group: "externaldns.k8s.io",
  version: "v1alpha1",
  kind: "DNSEndpoint",
  plural: "dnsendpoints",
};

export const kindIsMissing: Problem = {
  reason: "ExternalDNSMissing",
  message:
    "the cluster has no kind DNSEndpoint (externaldns.k8s.io/v1alpha1), which dns.mode ExternalDNS needs: install external-dns with its CRD and --source=crd, or set dns.mode to RFC2136 or Manual",
};
