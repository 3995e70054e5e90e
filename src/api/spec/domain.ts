/** The mail domain. */
import { text } from "../schema.ts";

const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const ipv4 = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/**
 * A DNS name of two labels or more that does not end in digits, `_`-prefixed or not; or an IPv4
 * address.
 */
const domainPattern = `^(_?${label}([.]${label})*[.]([a-z]([a-z0-9-]{0,61}[a-z0-9])?)|${ipv4}([.]${ipv4}){3})$`;

export const Domain = text({
  name: "domain",
  pattern: domainPattern,
  says: "a lower-case DNS name such as nine.example.org, one that begins with _ (self-signed), or an IPv4 address (an IPv6 address is not supported yet)",
  maxLength: 253,
  rules: [
    {
      rule: "self == oldSelf",
      message: "domain can't be changed: addresses and keys belong to it; make a new ChatmailServer",
    },
  ],
}).describe(
  "The mail domain: the part after the @ in every address. Immutable. A name that begins with _ means that a self-signed certificate is accepted.",
);
