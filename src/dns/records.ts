/** What the DNS has to say of a mail domain (chatmail protocol §18), as data. Pure. */
import { createHash } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { isSelfSignedDomain } from "../api/domain.ts";
import { reverseName } from "../lib/reverse-name.ts";
import { signsMail } from "../mail/address.ts";
import { ports } from "../mail/ports.ts";
import type { PublicDkimKey } from "./dkim-key.ts";

/** What a record of each type says. Names have their dot at the end. */
export interface Values {
  A: string;
  AAAA: string;
  CNAME: string;
  MX: { preference: number; host: string };
  /** Of any length: the strings of 255 octets are a matter of the form. */
  TXT: string;
  SRV: { priority: number; weight: number; port: number; host: string };
  CAA: { critical: boolean; tag: string; value: string };
  /** Data is hexadecimal. */
  TLSA: { usage: number; selector: number; matching: number; data: string };
}
export type PublishedType = keyof Values;

/** Who may issue certificates for a domain, as CAA records name them (RFC 8659, RFC 8657). */
export interface CaaIssuer {
  /** The authority's own name for CAA records, such as letsencrypt.org. */
  domain: string;
  /** The ACME account; undefined where it is not known. */
  accountURI?: string | undefined;
}

/** Required: mail fails without the record, or is refused. Recommended: it helps. */
export type Need = "Required" | "Recommended";

interface SetOf<Type extends PublishedType> {
  /** With its dot at the end. */
  name: string;
  type: Type;
  values: readonly Values[Type][];
  need: Need;
}

/** All records of one name and type, as the DNS has them. */
export type RecordSet = { [Type in PublishedType]: SetOf<Type> }[PublishedType];

export interface DomainFacts {
  domain: string;
  /**
   * Where the relay is reached. Host names, which some load balancers have, can't stand beside
   * other records: they are left out.
   */
  addresses: readonly string[];
  /** `signs`: mail is signed with it, which it is where nothing is said. */
  keys: readonly { selector: string; key: PublicDkimKey; signs?: boolean }[];
  /**
   * What `/.well-known/mta-sts.txt` says; undefined where the certificate is not for that name, or
   * no authority signed it.
   */
  mtaStsPolicy?: string | undefined;
  /** The certificate is ordered: the authority has to find each name that it is to be for. */
  isOrdered?: boolean;
  /** Who issues the certificate. */
  issuer?: CaaIssuer | undefined;
  /**
   * SHA-256 of the public keys (SubjectPublicKeyInfo) that port 25 shows now and next, hexadecimal;
   * only where the zone is signed and validated: elsewhere nobody goes by them.
   */
  tlsKeys?: readonly string[] | undefined;
}

/**
 * In the order in which a person would publish them. Nothing for an address literal: it has no
 * name.
 */
export function recordsOf(facts: DomainFacts): RecordSet[] {
  const { domain, addresses, keys, mtaStsPolicy, issuer, tlsKeys = [] } = facts;
  if (!signsMail(domain)) return [];
  const apex = `${domain}.`;
  const below = (name: string) => `${name}.${apex}`;
  const signed = isSelfSignedDomain(domain) ? "Recommended" : "Required";
  const alias = (name: string, need: Need): RecordSet => ({ name: below(name), type: "CNAME", values: [apex], need });
  const text = (name: string, value: string): RecordSet => {
    return { name, type: "TXT", values: [value], need: "Recommended" };
  };
  const service = (name: string, port: number): RecordSet => ({
    name: below(`${name}._tcp`),
    type: "SRV",
    values: [{ priority: 0, weight: 1, port, host: apex }],
    need: "Recommended",
  });
  const sets: RecordSet[] = [
    { name: apex, type: "A", values: addresses.filter((each) => isIPv4(each)), need: "Required" },
    { name: apex, type: "AAAA", values: addresses.filter((each) => isIPv6(each)), need: "Required" },
    { name: apex, type: "MX", values: [{ preference: 10, host: apex }], need: "Required" },
    // one that does not sign yet, or any more, keeps nobody's mail
    ...keys.map(({ selector, key, signs = true }) => ({
      ...dkimRecord({ domain, selector, key }),
      need: signs ? ("Required" as const) : ("Recommended" as const),
    })),
    // a certificate authority looks www up
    alias("www", signed),
    ...(mtaStsPolicy === undefined
      ? facts.isOrdered
        ? [alias("mta-sts", "Recommended")]
        : []
      : [
          alias("mta-sts", "Required"),
          { ...text(below("_mta-sts"), `v=STSv1; id=${policyId(mtaStsPolicy)}`), need: "Required" as const },
        ]),
    text(apex, "v=spf1 a ~all"),
    text(below("_dmarc"), "v=DMARC1;p=reject;adkim=s;aspf=s"),
    text(below("_adsp._domainkey"), "dkim=discardable"),
    { name: apex, type: "CAA", values: issuer ? [permission(issuer)] : [], need: "Recommended" },
    { name: below("_25._tcp"), type: "TLSA", values: [...new Set(tlsKeys)].map(ofKey), need: "Recommended" },
    service("_submission", ports.submission),
    service("_submissions", ports.submissions),
    service("_imap", ports.imap),
    service("_imaps", ports.imaps),
  ];
  return sets.filter(({ values }) => values.length > 0);
}

/** Where other relays find the key that a domain signs with (RFC 6376 §3.6, RFC 8463 §4). */
export function dkimRecord(of: { domain: string; selector: string; key: PublicDkimKey }): SetOf<"TXT"> {
  const { domain, selector, key } = of;
  const text = `v=DKIM1;k=${key.type};p=${key.base64};s=email;t=s`;
  return { name: `${selector}._domainkey.${domain}.`, type: "TXT", values: [text], need: "Required" };
}

/** Another one for another policy (RFC 8461 §3.1): servers fetch it again. */
const policyId = (policy: string) => createHash("sha256").update(policy).digest("hex").slice(0, 20);

/** RFC 8659, RFC 8657: nobody else issues, nor this authority for another's account. */
const permission = ({ domain, accountURI }: CaaIssuer): Values["CAA"] => ({
  critical: false,
  tag: "issue",
  value: accountURI === undefined ? domain : `${domain};accounturi=${accountURI}`,
});

/** 3 1 1: this key, whoever signed for it (RFC 7671 §5.1). */
const ofKey = (data: string): Values["TLSA"] => ({ usage: 3, selector: 1, matching: 1, data });

/** What the owner of an address has to say of it: not in the domain's own zone. */
export interface ReverseName {
  address: string;
  /** Name of the PTR record. */
  name: string;
  /** What it says. */
  want: string;
}

/** Relays don't look for them; classic providers do. */
export function reverseNames({ domain, addresses }: Pick<DomainFacts, "domain" | "addresses">): ReverseName[] {
  if (!signsMail(domain)) return [];
  return addresses
    .filter((each) => isIPv4(each) || isIPv6(each))
    .map((address) => ({ address, name: `${reverseName(address)}.`, want: `${domain}.` }));
}
