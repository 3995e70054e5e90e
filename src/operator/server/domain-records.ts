/** Which records a server's domain needs now. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { isSelfSignedDomain } from "../../api/domain.ts";
import { type CaaIssuer, type RecordSet, type ReverseName, recordsOf, reverseNames } from "../../dns/records.ts";
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
  const policy = hasPolicy(domain, seen) ? mtaStsPolicy(domain) : undefined;
  const { source, keptKeys } = seen.certificate;
  const issuer = issuerOf(server, seen);
  const tlsKeys = isValidated(server, seen) ? keptKeys : undefined;
  return {
    addressed: addresses.length > 0,
    sets: recordsOf({
      domain,
      addresses,
      keys,
      mtaStsPolicy: policy,
      isOrdered: source === "ACME" && !isSelfSignedDomain(domain),
      issuer,
      tlsKeys,
    }),
    reverse: reverseNames({ domain, addresses }),
  };
}

/**
 * Until the authority has been asked again, after a restart, what the status remembers: a record
 * that is published stays.
 */
function issuerOf(
  { status }: Pick<ChatmailServer, "status">,
  { certificate: { source, issuer } }: Seen,
): CaaIssuer | undefined {
  if (issuer || ["SelfSigned", "Secret", "None"].includes(source)) return issuer;
  const [value = ""] = status?.dns?.records?.find(({ type }) => type === "CAA")?.values ?? [];
  const [, domain, accountURI] = /^0 issue "([^;"]+)(?:;accounturi=([^"]+))?"$/.exec(value) ?? [];
  return domain === undefined ? undefined : { domain, accountURI };
}

/**
 * Whether resolvers that validate have the zone as secure: elsewhere nobody goes by TLSA records.
 * While none of them answers, those that were listed stay.
 */
function isValidated({ status }: Pick<ChatmailServer, "status">, { dns }: Seen): boolean {
  if (!dns) return false;
  const verification = dns.status?.verification;
  const now = verification && "dnssec" in verification ? verification.dnssec : undefined;
  const is = now ?? status?.dns?.dnssec;
  if (is === "Secure") return true;
  return is !== "Insecure" && (status?.dns?.records ?? []).some(({ type }) => type === "TLSA");
}

/**
 * Who sends mail to a domain that signed its own certificate can't verify it. A certificate that is
 * not for the name mta-sts could not serve the policy.
 */
function hasPolicy(domain: string, { certificate: { source, facts, onItsWay } }: Seen): boolean {
  if (isSelfSignedDomain(domain) || source === "SelfSigned" || onItsWay) return false;
  return !facts?.missingNames.includes(`mta-sts.${domain}`);
}
