/** Which records a server's domain needs now. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { isSelfSignedDomain } from "../../api/domain.ts";
import { type RecordSet, type ReverseName, recordsOf, reverseNames } from "../../dns/records.ts";
import { mtaStsPolicy } from "../../pod/autoconfig.ts";
import { presentIn } from "../identity/read.ts";
import { addressesOf, bySide } from "./addresses.ts";
import { isAccepted, isLost } from "./losses.ts";
import type { Seen } from "./seen.ts";

export interface DomainRecords {
  sets: RecordSet[];
  /** Whether the relay has an address: without one, what was published stays. */
  addressed: boolean;
  reverse: ReverseName[];
}

/**
 * Undefined where the key that is published is not in the cluster, lost or broken: its record is to
 * stay as it is.
 */
export function domainRecords(server: ChatmailServer, seen: Seen): DomainRecords | undefined {
  const { domain } = server.spec;
  const found = seen.identity.dkim;
  const isUnknown = found !== undefined && found.state !== "present" && !isAccepted("dkim", server);
  if (isLost("dkim", server, seen) || (isUnknown && server.status?.dkim)) return undefined;
  const keys = presentIn(found)?.published ?? [];
  const addresses = bySide(server, addressesOf(server, seen)).outside.map(({ value }) => value);
  const { source } = seen.certificate;
  const policy = hasPolicy(domain, seen) ? mtaStsPolicy(domain) : undefined;
  return {
    addressed: addresses.length > 0,
    sets: recordsOf({
      domain,
      addresses,
      keys,
      mtaStsPolicy: policy,
      isOrdered: source === "ACME" && !isSelfSignedDomain(domain),
    }),
    reverse: reverseNames({ domain, addresses }),
  };
}

/**
 * Who sends mail to a domain that signed its own certificate can't verify it. A certificate that is
 * not for the name mta-sts could not serve the policy.
 */
function hasPolicy(domain: string, { certificate: { source, facts, onItsWay } }: Seen): boolean {
  if (isSelfSignedDomain(domain) || source === "SelfSigned" || onItsWay) return false;
  return !facts?.missingNames.includes(`mta-sts.${domain}`);
}
