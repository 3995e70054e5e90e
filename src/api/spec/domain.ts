/** The mail domain. */
import { isIPv6 } from "node:net";
import * as z from "zod";
import { cel } from "../schema.ts";

const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const ipv4 = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/**
 * A DNS name of two labels or more that does not end in digits, `_`-prefixed or not; or an IPv4
 * address.
 */
const pattern = `^(_?${label}([.]${label})*[.]([a-z]([a-z0-9-]{0,61}[a-z0-9])?)|${ipv4}([.]${ipv4}){3})$`;
const isName = (text: string) => new RegExp(pattern, "u").test(text);

const notName =
  "domain must be a lower-case DNS name such as nine.example.org, one that begins with _ (self-signed), an IPv4 address, or an IPv6 address";
const notAddress =
  "domain must be an IPv6 address such as 2001:db8::9, without port, prefix or zone, and not mapped from IPv4";
const canonicalIs = (address: string) => `domain must be ${address}: an IPv6 address has one canonical form (RFC 5952)`;
const notOneHost = "domain must not be an unspecified, loopback, link-local or multicast address";

/** As the API server's isIP takes it: without a zone, and not mapped from IPv4. */
const isWhole = (text: string) => isIPv6(text) && !text.includes("%") && !/^::ffff:[^:]+:[^:]+$/.test(canonical(text));

/** The form of RFC 5952, of which URLs have that of everything but an IPv4 address. */
const canonical = (address: string) => new URL(`http://[${address}]`).hostname.slice(1, -1);

/** Of what may be meant: an address as it stands in a URL or behind an @. */
const bare = (text: string) => text.toLowerCase().replaceAll(/[[\]]|ipv6:/g, "");
const bareInCel = "self.lowerAscii().replace('[', '').replace(']', '').replace('ipv6:', '')";

const isOneHost = (address: string) => !/^(::1?|ff..:.*|fe[89ab].:.*)$/.test(canonical(address));

/** What is wrong, in a sentence. */
function problemOf(text: string): string | undefined {
  if (isName(text)) return undefined;
  if (!text.includes(":")) return notName;
  const address = bare(text);
  if (!isWhole(address)) return notAddress;
  if (!isOneHost(address)) return notOneHost;
  return text === canonical(address) ? undefined : canonicalIs(canonical(address));
}

/**
 * The same in CEL, as one rule: it stands in the place of one that took less, and further rules
 * would have to be ones that objects of before can't break. There is no `+`: the API server knows
 * no bound for the text of an address.
 */
const rule = {
  rule: `self.matches(${JSON.stringify(pattern)}) || (isIP(self) && ip(self).family() == 6 && ip(self).isGlobalUnicast() && ip.isCanonical(self))`,
  message: notName,
  messageExpression: [
    `!self.contains(':') ? "${notName}"`,
    `!isIP(${bareInCel}) ? "${notAddress}"`,
    `!ip(${bareInCel}).isGlobalUnicast() ? "${notOneHost}"`,
    `"${canonicalIs("%s")}".format([string(ip(${bareInCel}))])`,
  ].join(" : "),
};

export const Domain = z
  .string()
  .min(1)
  .max(253)
  .superRefine((value, context) => {
    const message = problemOf(value);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  })
  .meta(
    cel(rule, {
      rule: "self == oldSelf",
      message: "domain can't be changed: addresses and keys belong to it; make a new ChatmailServer",
    }),
  )
  .describe(
    "The mail domain: the part after the @ in every address. Immutable. A name that begins with _, or an IP address, means that a self-signed certificate is accepted.",
  );
