import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { formText, zoneText } from "../../../dns/zone-text.ts";
import type { ConfigMap } from "../../../kube/kinds.ts";
import type { DomainRecords } from "../domain-records.ts";
import { childMeta } from "./child.ts";

/** The records of the domain, to import or to copy. */
export function dnsConfigMap(server: ChatmailServer, records: DomainRecords): ConfigMap {
  const { domain, dns } = server.spec;
  const contents = { domain, ...records, ttlSeconds: dns.ttlSeconds };
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: childMeta(server, childNames(server.metadata.name).dnsConfigMap),
    data: { "records.zone": zoneText(contents), "records.txt": formText(contents) },
  };
}
