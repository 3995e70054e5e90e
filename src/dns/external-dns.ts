/**
 * Records as external-dns takes them (DNSEndpoint, externaldns.k8s.io/v1alpha1), and which it can't
 * carry. Pure.
 */
import type { PublishedType, RecordSet } from "./records.ts";
import { valueTexts } from "./zone-text.ts";

export interface Endpoint {
  /** Without a dot at its end. */
  dnsName: string;
  recordType: PublishedType;
  recordTTL: number;
  targets: string[];
}

/** CAA is no type of external-dns; TLSA is one of some providers' only. */
const carried: readonly PublishedType[] = ["A", "AAAA", "CNAME", "MX", "TXT", "SRV"];
export const isCarried = ({ type }: { type: PublishedType }): boolean => carried.includes(type);

/** What it can carry, in an order that stays. */
export const endpointsOf = (sets: readonly RecordSet[], ttlSeconds: number): Endpoint[] =>
  sets.filter(isCarried).map((set) => ({
    dnsName: set.name.replace(/\.$/, ""),
    recordType: set.type,
    recordTTL: ttlSeconds,
    targets: targetsOf(set),
  }));

/**
 * As in a zone file, since providers paste them into one: a text in quotes, or a `;` would begin a
 * comment, and in strings of 255 octets. Hosts have no dot at their end, except those of SRV
 * records, which external-dns refuses without it.
 */
function targetsOf(set: RecordSet): string[] {
  const texts = valueTexts(set);
  return set.type === "MX" || set.type === "CNAME" ? texts.map((text) => text.replace(/\.$/, "")) : texts;
}
