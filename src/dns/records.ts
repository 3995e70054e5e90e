/** What the DNS has to say of a mail domain (chatmail protocol §18). Pure. */
import { isIPv4, isIPv6 } from "node:net";
import { isSelfSignedDomain } from "../api/domain.ts";
import { signsMail } from "../mail/address.ts";
import { ports } from "../mail/ports.ts";
import type { PublicDkimKey } from "./dkim-key.ts";

export interface DnsRecord {
  /** With its dot at the end. */
  name: string;
  type: "A" | "AAAA" | "CNAME" | "MX" | "TXT" | "SRV";
  /** As it stands in a zone file. */
  value: string;
  /** Without it mail does not go or is refused; the others are advice. */
  required: boolean;
}

export interface DomainFacts {
  domain: string;
  /**
   * Where the relay is reached. Host names, which some load balancers have, can't stand beside
   * other records: they are left out.
   */
  addresses: readonly string[];
  keys: readonly { selector: string; key: PublicDkimKey }[];
}

/**
 * In the order in which a person would publish them. Nothing for an address literal: it has no
 * name.
 */
export function recordsOf({ domain, addresses, keys }: DomainFacts): DnsRecord[] {
  if (!signsMail(domain)) return [];
  const apex = `${domain}.`;
  const below = (name: string) => `${name}.${apex}`;
  const required = (name: string, type: DnsRecord["type"], value: string) => ({ name, type, value, required: true });
  const advised = (name: string, type: DnsRecord["type"], value: string) => ({ name, type, value, required: false });
  const service = (name: string, port: number) => advised(below(`${name}._tcp`), "SRV", `0 1 ${port} ${apex}`);
  return [
    ...addresses.filter((each) => isIPv4(each)).map((each) => required(apex, "A", each)),
    ...addresses.filter((each) => isIPv6(each)).map((each) => required(apex, "AAAA", each)),
    required(apex, "MX", `10 ${apex}`),
    ...keys.map(({ selector, key }) => dkimRecord({ domain, selector, key })),
    // a certificate authority looks www up
    (isSelfSignedDomain(domain) ? advised : required)(below("www"), "CNAME", apex),
    advised(apex, "TXT", txtValue("v=spf1 a ~all")),
    advised(below("_dmarc"), "TXT", txtValue("v=DMARC1;p=reject;adkim=s;aspf=s")),
    advised(below("_adsp._domainkey"), "TXT", txtValue("dkim=discardable")),
    service("_submission", ports.submission),
    service("_submissions", ports.submissions),
    service("_imap", ports.imap),
    service("_imaps", ports.imaps),
  ];
}

/** Where other relays find the key that a domain signs with (RFC 6376 §3.6, RFC 8463 §4). */
export function dkimRecord(of: { domain: string; selector: string; key: PublicDkimKey }): DnsRecord {
  const { domain, selector, key } = of;
  const text = `v=DKIM1;k=${key.type};p=${key.base64};s=email;t=s`;
  return { name: `${selector}._domainkey.${domain}.`, type: "TXT", value: txtValue(text), required: true };
}

/** Strings of a TXT record have 255 octets at most; readers put them together again. */
function txtValue(text: string): string {
  const strings = text.match(/.{1,255}/g) ?? [""];
  return strings.map((each) => `"${each.replace(/["\\]/g, "\\$&")}"`).join(" ");
}
