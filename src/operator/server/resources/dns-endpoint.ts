import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { endpointsOf } from "../../../dns/external-dns.ts";
import { type DnsEndpoint, dnsEndpoints } from "../../external-dns.ts";
import type { DomainRecords } from "../domain-records.ts";
import { childMeta } from "./child.ts";

/**
 * What external-dns is to publish. Deleted with the server, unless the records are to stay: then
 * nobody owns it.
 */
export function dnsEndpoint(server: ChatmailServer, { sets }: DomainRecords): DnsEndpoint {
  const { externalDNS, records, ttlSeconds, onDelete } = server.spec.dns;
  const { ownerReferences, ...metadata } = childMeta(server, childNames(server.metadata.name).dnsEndpoint);
  const wanted = sets.filter(({ need }) => need === "Required" || records === "Recommended");
  return {
    apiVersion: `${dnsEndpoints.group}/${dnsEndpoints.version}`,
    kind: dnsEndpoints.kind,
    metadata: {
      ...metadata,
      labels: { ...externalDNS?.labels, ...metadata.labels },
      ...(externalDNS?.annotations && { annotations: externalDNS.annotations }),
      ...(onDelete === "Remove" && ownerReferences && { ownerReferences }),
    },
    spec: { endpoints: endpointsOf(wanted, ttlSeconds) },
  };
}
